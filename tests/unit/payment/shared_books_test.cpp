// Replicas of the provider that share one file are one provider.
#include "unit/payment/desk.hpp"

using namespace souk;
using namespace souk::test;

namespace {

struct Pair {
    explicit Pair(PaymentWorld& world) : world(world), one(world), two(world) {
        REQUIRE(one.open());
        REQUIRE(two.open());
    }
    /// Both at once.
    void charge(const std::string& attempt, Given& first, Given& second) {
        const app::ChargeRequest request(attempt, "ord_1", "tok_approve", price);
        one.start(one.provider->charge(request, Deadline::never()), first);
        two.start(two.provider->charge(request, Deadline::never()), second);
    }
    void refund(const std::string& attempt, Desk& desk, Given& given) {
        const app::RefundRequest request(attempt, "att_1", price);
        desk.start(desk.provider->refund(request, Deadline::never()), given);
    }
    PaymentWorld& world;
    Desk one;
    Desk two;
};

std::size_t count_lines(const std::filesystem::path& file) {
    const std::string text = read_file(file);
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace

TEST_CASE("an attempt that is sent to two replicas of the provider at once is charged once") {
    PaymentWorld world;
    Pair pair(world);
    constexpr int rounds = 40;
    for (int i = 0; i < rounds; ++i) {
        Given first;
        Given second;
        pair.charge(fmt::format("att_{}", i), first, second);
        world.until([&] { return first && second; });
        CHECK((*first)->done);
        CHECK((*second)->done);
    }
    CHECK(count_lines(pair.one.file) == rounds);
    CHECK(pair.one.book().captures == rounds);
    CHECK(pair.two.book().captures == rounds);
}

TEST_CASE("what two replicas write at once all stands in the one file, whole") {
    PaymentWorld world;
    Pair pair(world);
    constexpr int rounds = 100;
    for (int i = 0; i < rounds; ++i) {
        Given first;
        Given second;
        const app::ChargeRequest one(fmt::format("att_{}", i), "ord_1", "tok_approve", price);
        const app::ChargeRequest two(fmt::format("att_other_{}", i), "ord_1", "tok_x", price);
        pair.one.start(pair.one.provider->charge(one, Deadline::never()), first);
        pair.two.start(pair.two.provider->charge(two, Deadline::never()), second);
        world.until([&] { return first && second; });
        CHECK((*first)->done);
        CHECK_FALSE((*second)->done);
    }
    CHECK(count_lines(pair.one.file) == 2 * rounds);
    Desk later(world);
    REQUIRE(later.open());
    CHECK(later.book().captures == rounds);
}

TEST_CASE("one replica answers what another one booked, and shows it in its books") {
    PaymentWorld world;
    Pair pair(world);
    CHECK_FALSE(pair.one.charge("att_1", "tok_decline")->done);
    CHECK(pair.two.charge("att_1", "tok_approve")->reason == "card_declined");
    CHECK(pair.one.charge("att_2", "tok_approve")->done);
    CHECK(pair.two.book().captures == 1);
    CHECK(pair.two.refund("att_3", "att_2")->done);
    CHECK(pair.one.book().refunds == 1);
}

TEST_CASE("two replicas that refund one charge at once give it back once") {
    PaymentWorld world;
    Pair pair(world);
    CHECK(pair.one.charge("att_1", "tok_approve")->done);
    Given first;
    Given second;
    pair.refund("att_2", pair.one, first);
    pair.refund("att_3", pair.two, second);
    world.until([&] { return first && second; });
    CHECK((*first)->done != (*second)->done);
    CHECK(pair.one.book().amount == 0);
    CHECK(pair.two.book().amount == 0);
}

TEST_CASE("what a replica had half written when it was killed is cut off by the other one") {
    PaymentWorld world;
    Pair pair(world);
    CHECK(pair.one.charge("att_1", "tok_approve")->done);
    std::ofstream(pair.one.file, std::ios::app) << R"({"at":")" << std::string(4000, '2');
    CHECK(pair.two.charge("att_2", "tok_approve")->done);
    CHECK(pair.one.charge("att_3", "tok_approve")->done);
    CHECK(count_lines(pair.one.file) == 3);
    CHECK(read_file(pair.one.file).ends_with("}\n"));
    CHECK(pair.two.book().captures == 3);
    Desk later(world);
    REQUIRE(later.open());
    CHECK(later.book().captures == 3);
}

TEST_CASE("a failed sync is an unknown outcome, is told, and is over when the disk is well again") {
    PaymentWorld world;
    Pair pair(world);
    CHECK(pair.one.charge("att_1", "tok_approve")->done);
    {
        ArmedFailpoint armed("payment.books_sync", "error");
        CHECK(pair.one.charge("att_2", "tok_approve").error().code == "provider_books");
        CHECK_FALSE(pair.one.provider->fault().empty());
    }
    CHECK(pair.two.provider->fault().empty());
    CHECK(pair.two.charge("att_3", "tok_approve")->done);
    CHECK(pair.one.charge("att_2", "tok_approve")->done);
    CHECK(pair.one.provider->fault().empty());
    CHECK(pair.one.book().captures == 3);
    CHECK(pair.two.book().captures == 3);
    CHECK(count_lines(pair.one.file) == 3);
}

TEST_CASE("while the provider can't sync its books the module is not ready and claims nothing") {
    PaymentWorld world;
    {
        ArmedFailpoint armed("payment.books_sync", "error");
        REQUIRE(world.place("ord_1", "tok_approve"));
        world.until([&] { return !world.module().health().ready; });
        CHECK_FALSE(world.module().health().detail.empty());
        const auto before = world.number("SELECT tries FROM attempts");
        for (int i = 0; i < 400; ++i) {
            world.clock.advance(milliseconds(250));
            world.work(milliseconds(1));
        }
        CHECK(world.number("SELECT tries FROM attempts") == before);
    }
    world.until_status("ord_1", "captured", milliseconds(250));
    CHECK(world.module().health().ready);
    CHECK(world.provider_count("capture", "ord_1") == 1);
}

TEST_CASE("a file that is cut while it is in use stops the provider instead of charging anew") {
    PaymentWorld world;
    Pair pair(world);
    CHECK(pair.one.charge("att_1", "tok_approve")->done);
    std::filesystem::resize_file(pair.one.file, 0);
    CHECK(pair.one.charge("att_2", "tok_approve").error().code == "provider_books");
    CHECK(count_lines(pair.one.file) == 0);
}
