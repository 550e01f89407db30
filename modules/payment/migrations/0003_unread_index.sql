-- Nothing reads the ledger by order: attempts and payments lead there. Each entry paid for it.
DROP INDEX ledger_entries_order;
