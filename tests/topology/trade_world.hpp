// A shop that takes a file of real trade, by souk's own commands `import` and `replay`, and the
// comparison of its figures with the file's.
#pragma once

#include "retail_file.hpp"
#include "support/shop.hpp"

#include <cstdint>
#include <filesystem>
#include <string>

namespace souk::test {

/// A shop on a port of its own, an importer's account, and the file that it trades, imported.
class Trade {
public:
    explicit Trade(std::filesystem::path file);
    Trade(std::filesystem::path file, InParts parts);
    /// On servers that the test chose.
    Trade(std::filesystem::path file, Environment stack);

    Shop& shop() { return shop_; }

    /// `import`, or `replay` with a report; through `shop` when that is another replica.
    Finished run(const std::string& command) const { return run(command, shop_); }
    Finished run(const std::string& command, const Shop& shop) const;
    json::value report() const { return report(shop_); }
    json::value report(const Shop& shop) const;
    json::value replay() const;
    /// Orders placed so far, and paid so far; -1 when the shop does not say.
    std::int64_t placed() const { return count("placed"); }
    std::int64_t paid() const { return count("paid"); }

private:
    void prepare();
    std::int64_t count(std::string_view what) const;
    std::filesystem::path report_file(const Shop& shop) const;

    TempFolder folder_;
    std::filesystem::path file_;
    std::filesystem::path credentials_ = folder_.path() / "importer.json";
    Shop shop_;
};

/// A port that stays free while the server is dead.
std::uint16_t steady_port();

void check_report(
    const json::value& report, std::int64_t orders, std::int64_t units, std::int64_t pence
);
void check_report(const json::value& report, const RetailExpectation& expected);
/// Imported with exactly what is sold: nothing is left of anything. Products counted.
std::size_t check_sold_out(const Shop& shop);
/// `souk verify`, the provider's own file, the mails.
void check_books(const Shop& shop, std::int64_t orders, std::int64_t units, std::int64_t charged);

}  // namespace souk::test
