-- Old answers to stock changes are deleted by age.
CREATE INDEX stock_requests_age ON stock_requests (created_at);
