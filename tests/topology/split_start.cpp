// A part of the shop without what a part needs does not start, and says all that is missing at
// once; with it, the six start in any order.
#include "support/services.hpp"
#include "support/shop.hpp"
#include "support/split_shop.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace souk;
using namespace souk::test;

namespace {

constexpr std::chrono::seconds start_limit{30};

/// What a start that has to fail said.
std::string words_of_failed_start(const Environment& stack, std::vector<std::string> args) {
    SoukProcess part(stack, std::move(args));
    part.launch();
    const bool ended = eventually(start_limit, [&] { return !part.running(); });
    INFO(part.log());
    REQUIRE(ended);
    CHECK(part.wait() != 0);
    return part.log();
}

Environment only(const Environment& stack, std::string_view prefix) {
    Environment out;
    for (const auto& entry : stack)
        if (entry.first.starts_with(prefix)) out.push_back(entry);
    return out;
}

Environment without(const Environment& stack, std::string_view name) {
    Environment out;
    for (const auto& entry : stack)
        if (entry.first != name) out.push_back(entry);
    return out;
}

const std::vector<std::string> order_alone = {"--modules=order"};

/// All that the order process needs, though nobody is there.
Environment whole_environment(const Environment& servers) {
    const SplitShop shop(servers);
    return shop.environment_of("order");
}

}  // namespace

TEST_CASE(
    "a part of the shop with files and memory of its own is refused, every fault at once",
    "[.split]"
) {
    const std::string words = words_of_failed_start({}, order_alone);
    INFO(words);
    CHECK_THAT(words, Catch::Contains("set DATABASE_URL and RABBITMQ_URL"));
    CHECK_THAT(words, Catch::Contains("set REDIS_URL"));
    CHECK_THAT(words, Catch::Contains("set peers.product"));
    CHECK_THAT(words, Catch::Contains("set peers.payment"));
    CHECK_THAT(words, Catch::Contains("internal.certificate_file"));
    CHECK_THAT(words, Catch::Contains("internal.identity_public_file"));
    CHECK(words.find("peers.user") == std::string::npos);  // whom it does not call

    const std::string gateway = words_of_failed_start({}, {"--modules=gateway"});
    INFO(gateway);
    for (const char* fault :
         {"peers.user",
          "peers.product",
          "peers.order",
          "peers.payment",
          "internal.identity_key_file",
          "set REDIS_URL"})
        CHECK_THAT(gateway, Catch::Contains(fault));
}

TEST_CASE(
    "a part of the shop that lacks one thing is refused for that and nothing else", "[.split]"
) {
    const Environment good = whole_environment(Services::shared().fresh_shop());
    struct Lack {
        const char* variable;
        const char* words;
    };
    const auto lack = GENERATE(
        Lack{"DATABASE_URL", "DATABASE_URL"},  // SQLite
        Lack{"RABBITMQ_URL", "RABBITMQ_URL"},  // the embedded bus
        Lack{"REDIS_URL", "set REDIS_URL"},    // a cache of its own
        Lack{"SOUK__PEERS__PRODUCT", "peers.product"},
        Lack{"SOUK__PEERS__PAYMENT", "peers.payment"},
        Lack{"SOUK__INTERNAL__KEY_FILE", "internal.key_file"},
        Lack{"SOUK__INTERNAL__CA_FILE", "internal.ca_file"},
        Lack{"SOUK__INTERNAL__IDENTITY_PUBLIC_FILE", "internal.identity_public_file"}
    );
    CAPTURE(lack.variable);
    const std::string words = words_of_failed_start(without(good, lack.variable), order_alone);
    INFO(words);
    CHECK_THAT(words, Catch::Contains(lack.words));
    for (const char* other : {"set REDIS_URL", "set peers.product", "set peers.payment"})
        if (std::string_view(other).find(lack.words) == std::string_view::npos)
            CHECK(words.find(other) == std::string::npos);
}

TEST_CASE("peers without the servers that they share are refused", "[.split]") {
    const Environment good = whole_environment(Services::shared().fresh_shop());
    const std::string words = words_of_failed_start(only(good, "SOUK__"), order_alone);
    INFO(words);
    CHECK_THAT(words, Catch::Contains("SQLite files") && Catch::Contains("embedded bus"));
    CHECK_THAT(words, Catch::Contains("this process's memory is no cache"));
}

TEST_CASE("the six start in any order, each before those that it calls", "[.split]") {
    Shop shop(InParts{}, {});
    SplitShop& parts = shop.parts();
    // Those who call come first.
    for (const char* role : {"gateway", "notification", "order", "payment", "product", "user"}) {
        parts.process(role).launch();
        INFO(role << "\n" << parts.process(role).log());
        CHECK(eventually(std::chrono::seconds(20), [&] {
            return std::filesystem::exists(parts.process(role).data() / "souk.sock") ||
                   std::string_view(role) == "gateway";  // which waits for user
        }));
    }
    shop.start();  // awaits them
    const std::string product = shop.add_products({Article("CUP", 3, "1250")}).at("CUP");
    const std::string customer = shop.token(shop.add_customers(1).front());
    const auto placed = shop.place(customer, "key", Wish(product, 1));
    REQUIRE(placed.status == 201);
    const json::value order =
        shop.settled_order(customer, std::string(parse(placed).at("id").as_string()));
    CHECK(order.at("status").as_string() == "paid");
    CHECK(shop.process().stop() == 0);
    for (const std::string_view role : roles) {
        const std::string log = parts.process(role).log();
        INFO(role);
        CHECK(log.find("ERROR") == std::string::npos);
    }
}
