// The reader of the data set: figures by hand for a small file, and every malformation named with
// its row and column.
#include "cli/online_retail/csv.hpp"
#include "cli/online_retail/dataset.hpp"
#include "support/result_text.hpp"

#include <catch2/catch.hpp>
#include <unistd.h>
#include <zlib.h>

#include <filesystem>
#include <fstream>
#include <string>

using namespace souk;
using namespace souk::cli;

namespace {

constexpr std::string_view header =
    "\"InvoiceNo\",\"StockCode\",\"Description\",\"Quantity\",\"InvoiceDate\",\"UnitPrice\","
    "\"CustomerID\",\"Country\"\n";

class TemporaryFile {
public:
    explicit TemporaryFile(std::string_view content, std::string_view suffix = ".csv")
        : path_(
              std::filesystem::temp_directory_path() /
              ("souk-retail-" + std::to_string(::getpid()) + "-" + std::to_string(next_++) +
               std::string(suffix))
          ) {
        std::ofstream(path_, std::ios::binary) << content;
    }
    ~TemporaryFile() { std::filesystem::remove(path_); }
    const std::filesystem::path& path() const { return path_; }

private:
    static inline int next_ = 0;
    std::filesystem::path path_;
};

RetailData read(std::string_view rows) {
    TemporaryFile file(std::string(header) + std::string(rows));
    auto data = read_online_retail(file.path());
    INFO((data ? std::string() : data.error().detail));
    REQUIRE(data);
    return std::move(*data);
}

std::string fault_of(std::string_view content) {
    TemporaryFile file(content);
    auto data = read_online_retail(file.path());
    REQUIRE_FALSE(data);
    return data.error().detail;
}

}  // namespace

TEST_CASE("sales are grouped by invoice; what is no sale is counted by its first reason") {
    const RetailData data = read(
        "\"1\",\"A1\",\"MUG\",2,\"2011-01-04 10:00:00\",2.55,17850,\"United Kingdom\"\n"
        "\"1\",\"a1\",\"CUP, \"\"BLUE\"\"\",3,\"2011-01-04 09:59:00\",0.001,17850,\"United "
        "Kingdom\"\n"
        "\"1\",\"A1\",\"\",1,\"2011-01-04 10:00:00\",2.10,17850,\"United Kingdom\"\n"
        "\"C2\",\"A1\",\"MUG\",-1,\"2011-01-04 10:00:00\",0,,\"United Kingdom\"\n"
        "\"A3\",\"B\",\"ADJUST\",-1,\"2011-01-04 10:00:00\",-5.5,,\"United Kingdom\"\n"
        "\"4\",\"A1\",\"MUG\",0,\"2011-01-04 10:00:00\",0,,\"United Kingdom\"\n"
        "\"5\",\"X\",\"LOST\",1,\"2011-01-04 10:00:00\",0,,\"United Kingdom\"\n"
        "\"6\",\"A1\",\"MUG\",1,\"2011-01-04 10:00:00\",1,,\"France\"\n"
    );
    CHECK(data.rows == 8);
    REQUIRE(data.sales.size() == 1);
    CHECK(data.sales[0].lines.size() == 3);
    CHECK(to_rfc3339(data.sales[0].placed_at).starts_with("2011-01-04T09:59:00"));
    CHECK(data.units == 6);
    CHECK(data.value_minor == 510 + 0 + 210);  // 3 × 0.1 p rounds to 0
    CHECK(data.products.at("A1").sold == 3);
    CHECK(data.products.at("a1").sold == 3);  // codes are case-sensitive
    CHECK(data.products.at("A1").name == "MUG");
    CHECK(data.products.at("a1").name == "CUP, \"BLUE\"");
    CHECK(data.products.at("A1").price->minor_decimal() == "100");  // the last positive one
    CHECK_FALSE(data.products.at("X").price);
    CHECK(data.skipped.at("cancellation") == 1);
    CHECK(data.skipped.at("adjustment") == 1);
    CHECK(data.skipped.at("quantity") == 1);
    CHECK(data.skipped.at("price") == 1);
    CHECK(data.skipped.at("customer") == 1);
}

TEST_CASE("London time becomes UTC, in winter, in summer and across the skipped hour") {
    CHECK(to_rfc3339(*parse_london("2011-01-04 10:00:00")).starts_with("2011-01-04T10:00:00"));
    CHECK(to_rfc3339(*parse_london("2011-05-04 10:00:00")).starts_with("2011-05-04T09:00:00"));
    CHECK(to_rfc3339(*parse_london("2011-03-27 01:30:00")).starts_with("2011-03-27T01:00:00"));
    CHECK_FALSE(parse_london("2011-05-04"));
    CHECK_FALSE(parse_london("2011-05-04 10:00:00Z"));
}

TEST_CASE("pounds become pence without a double in between") {
    CHECK(parse_pounds("2.55")->micros() == 255'000'000);
    CHECK(parse_pounds("0.001")->minor_decimal() == "0.1");
    CHECK(parse_pounds("7")->minor_decimal() == "700");
    CHECK_FALSE(parse_pounds("-1"));
    CHECK_FALSE(parse_pounds("-0.5"));
    CHECK_FALSE(parse_pounds("1e3"));
    CHECK_FALSE(parse_pounds(""));
    CHECK_FALSE(parse_pounds("0.000000001"));
}

TEST_CASE("a malformed file is refused with the row, the column and the reason") {
    const std::string good(header);
    CHECK(fault_of("a,b\n").find("row 1: the header is not") != std::string::npos);
    CHECK(fault_of("").find("row 1") != std::string::npos);
    CHECK(
        fault_of(good + "\"1\",\"A\",\"x\",1.5,\"2011-01-04 10:00:00\",1,1,\"F\"\n")
            .find("row 2, column Quantity: not an integer: '1.5'") != std::string::npos
    );
    CHECK(
        fault_of(good + "\"1\",\"A\",\"x\",1,\"2011-01-04 10:00:00\",cheap,1,\"F\"\n")
            .find("row 2, column UnitPrice: not a number: 'cheap'") != std::string::npos
    );
    CHECK(
        fault_of(good + "\"1\",\"A\",\"x\",1,\"yesterday\",1,1,\"F\"\n")
            .find("row 2, column InvoiceDate") != std::string::npos
    );
    CHECK(
        fault_of(good + "\"1\",\"A\",\"x\",1,\"2011-01-04 10:00:00\",1,1\n")
            .find("row 2: 7 columns instead of 8") != std::string::npos
    );
    CHECK(
        fault_of(good + "\"1\",\"A\"\"x").find("row 2, column 2: a quote is opened") !=
        std::string::npos
    );
    CHECK(
        fault_of(good + "\"1\"x,\"A\"").find("row 2, column 1: text after a closing quote") !=
        std::string::npos
    );
}

TEST_CASE("a gzipped file is read, a cut one is refused") {
    const std::string content =
        std::string(header) +
        "\"1\",\"A\",\"x\",1,\"2011-01-04 10:00:00\",1,1,\"United Kingdom\"\n";
    TemporaryFile file("", ".csv.gz");
    gzFile out = gzopen(file.path().c_str(), "wb");
    gzwrite(out, content.data(), static_cast<unsigned>(content.size()));
    gzclose(out);
    CHECK(read_online_retail(file.path())->sales.size() == 1);

    std::filesystem::resize_file(file.path(), std::filesystem::file_size(file.path()) - 12);
    auto cut = read_online_retail(file.path());
    REQUIRE_FALSE(cut);
    CHECK(cut.error().detail.find("gzip") != std::string::npos);
    CHECK_FALSE(read_online_retail("/no/such/file"));
    CHECK_FALSE(read_online_retail(std::filesystem::temp_directory_path()));
}
