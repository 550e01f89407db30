#include "retail_file.hpp"

#include <fmt/format.h>

#include <fstream>
#include <random>
#include <vector>

namespace souk::test {
namespace {

// Prices are whole tenths of a penny ("mills") here: £0.001 is 1.
constexpr int codes = 40;
constexpr int customers = 60;

std::string code_of(int n) {
    // 84406B and 84406b are two products in the real file.
    if (n < 2) return n == 0 ? "84406B" : "84406b";
    return std::to_string(20000 + n);
}

std::string pounds(std::int64_t mills) {
    const char* sign = mills < 0 ? "-" : "";
    mills = mills < 0 ? -mills : mills;
    return fmt::format("{}{}.{:03}", sign, mills / 1000, mills % 1000);
}

std::int64_t pence(std::int64_t mills, std::int64_t quantity) {
    return (mills * quantity + 5) / 10;
}

class Writer {
public:
    explicit Writer(const std::filesystem::path& file) : out_(file) {
        out_ << "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,"
                "Country\n";
        for (int code = 0; code < codes; ++code)
            prices_.push_back(10 * (1 + pick(999)));
        prices_[3] = 1;     // £0.001
        prices_[4] = 5;     // £0.005
        prices_[5] = 4999;  // £4.999
    }

    RetailExpectation write(int sales) {
        for (int sale = 0; sale < sales; ++sale) {
            begin_invoice();
            write_sale(sale);
            write_what_is_no_sale(sale);
        }
        return expected_;
    }

private:
    int pick(int below) { return static_cast<int>(random_() % static_cast<unsigned>(below)); }

    void begin_invoice() {
        ++invoice_;
        minute_ = (minute_ + 7) % 600;
        customer_ = std::to_string(12346 + pick(customers));
    }

    void row(
        const std::string& invoice,
        const std::string& code,
        std::int64_t quantity,
        std::int64_t mills,
        const std::string& customer,
        int later = 0
    ) {
        const int minute = minute_ + later;
        out_ << invoice << ',' << code << ",\"MUG, \"\"" << code << "\"\"\"," << quantity
             << fmt::format(",2011-0{}-1{} ", 1 + invoice_ % 5, invoice_ % 9)
             << fmt::format("{:02}:{:02}:00,", 8 + minute / 60, minute % 60) << pounds(mills) << ','
             << customer << ",United Kingdom\n";
    }

    void sale_line(int code, std::int64_t quantity, std::int64_t mills, int later = 0) {
        row(std::to_string(invoice_), code_of(code), quantity, mills, customer_, later);
        expected_.units += quantity;
        expected_.units_by_code[code_of(code)] += quantity;
        value_ += pence(mills, quantity);
    }

    void write_sale(int sale) {
        value_ = 0;
        if (sale == 10) {
            sale_line(3, 4, 1);  // £0.004: an order of nothing
        } else if (sale == 11) {
            sale_line(3, 1000, 1);  // £1.00
            sale_line(4, 3, 5);     // £0.015 is £0.02
        } else {
            const int lines = 1 + pick(5);
            for (int line = 0; line < lines; ++line) {
                const int code = pick(codes);
                // The second minute of an invoice that took one to write down.
                sale_line(
                    code, 1 + pick(24), prices_[static_cast<std::size_t>(code)], line == 3 ? 1 : 0
                );
                // The same code again, cheaper.
                if (line == 2) sale_line(code, 6, prices_[static_cast<std::size_t>(code)] / 2 + 1);
            }
        }
        ++expected_.orders;
        expected_.pence += value_;
        if (value_ == 0) ++expected_.free_orders;
    }

    void no_sale(
        const char* reason,
        const std::string& invoice,
        std::int64_t quantity,
        std::int64_t mills,
        const std::string& customer
    ) {
        row(invoice, code_of(pick(codes)), quantity, mills, customer);
        ++expected_.skipped[reason];
    }

    void write_what_is_no_sale(int sale) {
        const std::string same = std::to_string(invoice_);
        if (sale % 5 == 0) no_sale("price", same, 1, 0, customer_);  // a gift on a true invoice
        if (sale % 13 == 0)
            no_sale("cancellation", fmt::format("C{}", ++invoice_), -2, 500, customer_);
        if (sale % 17 == 0) no_sale("customer", std::to_string(++invoice_), 3, 750, "");
        if (sale % 29 == 0) no_sale("quantity", std::to_string(++invoice_), -10, 0, "");
        if (sale == 50) no_sale("adjustment", fmt::format("A{}", ++invoice_), 1, -11062060, "");
    }

    std::ofstream out_;
    std::mt19937 random_{20101201};
    std::vector<std::int64_t> prices_;
    RetailExpectation expected_;
    std::int64_t value_ = 0;  // of the sale under way
    int invoice_ = 536364;
    int minute_ = 0;
    std::string customer_;
};

}  // namespace

RetailExpectation write_retail_file(const std::filesystem::path& file, int sales) {
    Writer writer(file);
    return writer.write(sales);
}

}  // namespace souk::test
