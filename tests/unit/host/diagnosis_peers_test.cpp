// What `souk doctor` says of a split shop, from real listeners.
#include "host/diagnosis_peers.hpp"

#include "internal_listener.hpp"
#include "support/run_task.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>

using namespace souk;
using namespace souk::host;
using namespace souk::host::test;

namespace {

std::vector<Check> diagnose(
    const Secrets& secrets, const std::string& role, std::string peers, Plan plan = {}
) {
    auto flags = credential_flags(secrets, role);
    flags.push_back(std::move(peers));
    asio::io_context context;
    return souk::test::run_task(
        context,
        check_peers(config_of(flags), std::move(plan), context.get_executor(), base::system_clock())
    );
}

std::vector<Check> diagnose(const std::vector<std::string>& flags) {
    asio::io_context context;
    return souk::test::run_task(
        context, check_peers(config_of(flags), Plan(), context.get_executor(), base::system_clock())
    );
}

}  // namespace

TEST_CASE("a whole shop has no peers to ask", "[doctor]") {
    CHECK(diagnose(std::vector<std::string>()).empty());
}

TEST_CASE("the doctor asks each peer who it is and whether it lets us in", "[doctor]") {
    const Secrets secrets;
    InternalListener orders(secrets, {"order"});
    const auto by_operator = diagnose(secrets, "operator", "peers.order=" + orders.address());
    REQUIRE(by_operator.size() == 2);
    CHECK(by_operator[0].name == "credential");
    CHECK(by_operator[0].verdict == Verdict::ok);
    CHECK(by_operator[1].name == "peer order");
    CHECK(by_operator[1].verdict == Verdict::ok);
    CHECK_THAT(by_operator[1].detail, Catch::Contains(orders.address()));
    CHECK_THAT(by_operator[1].detail, Catch::Contains("for the operator's"));
    CHECK_THAT(by_operator[1].detail, Catch::Contains("says order"));

    const auto by_peer = diagnose(secrets, "order", "peers.order=" + orders.address());
    CHECK(by_peer.back().verdict == Verdict::ok);
    CHECK_THAT(by_peer.back().detail, Catch::Contains("for a peer's"));

    const auto by_nobody = diagnose(secrets, "payment", "peers.order=" + orders.address());
    CHECK(by_nobody.back().verdict == Verdict::fail);
    CHECK_THAT(by_nobody.back().detail, Catch::Contains("does not take"));

    const auto swapped = diagnose(secrets, "operator", "peers.payment=" + orders.address());
    CHECK(swapped.back().verdict == Verdict::warn);
    CHECK_THAT(swapped.back().mend, Catch::Contains("not payment"));
    CHECK_THAT(swapped.back().mend, Catch::Contains("--set"));
}

TEST_CASE("a part of the shop asks those only that it calls", "[doctor]") {
    const Secrets secrets;
    InternalListener orders(secrets, {"order"});
    ModuleInfo order{};
    order.name = "order";
    Plan plan;
    plan.split = true;
    const std::string address = "peers.order=" + orders.address();
    const auto nobody = diagnose(secrets, "payment", address, plan);
    CHECK(nobody.empty());
    plan.remote = {&order};
    const auto one = diagnose(secrets, "payment", address, plan);
    REQUIRE(one.size() == 2);
    CHECK(one[1].name == "peer order");
}

TEST_CASE("the doctor tells why a peer is not reached", "[doctor]") {
    const Secrets secrets;
    const Secrets theirs;
    InternalListener foreign(theirs, {"order"});
    const auto other = diagnose(secrets, "operator", "peers.order=" + foreign.address());
    CHECK(other.back().verdict == Verdict::fail);
    CHECK_THAT(other.back().detail, Catch::Contains("certificate"));

    const auto two =
        diagnose(secrets, "operator", "peers.order=https://127.0.0.1:1,http://127.0.0.1:2");
    REQUIRE(two.size() == 3);
    CHECK(two[1].verdict == Verdict::fail);
    CHECK_THAT(two[1].detail, Catch::Contains("refused"));
    CHECK(two[2].verdict == Verdict::fail);
    CHECK_FALSE(two[2].mend.empty());

    const auto bad = diagnose(secrets, "operator", "peers.order=order:1");
    CHECK(bad.back().verdict == Verdict::fail);
    CHECK_THAT(bad.back().detail, Catch::Contains("order:1"));
}

TEST_CASE("the doctor tells of credentials that are not there, and makes none", "[doctor]") {
    const Secrets secrets;
    const std::string peer = "peers.order=http://127.0.0.1:1";
    const auto none = diagnose({peer});
    REQUIRE(none.size() == 1);
    CHECK(none[0].verdict == Verdict::fail);
    CHECK_THAT(none[0].mend, Catch::Contains("internal.certificate_file"));

    const auto key = secrets.file("absent.key");
    const auto absent =
        diagnose({peer, "internal.shared_key_file=" + key, "internal.identity_key_file=" + key});
    REQUIRE(absent.size() == 2);
    CHECK(absent[0].name == "identity key");
    CHECK(absent[0].verdict == Verdict::warn);
    CHECK(absent[1].verdict == Verdict::fail);
    CHECK_FALSE(std::filesystem::exists(key));

    std::ofstream(secrets.file("bad.pub")) << "rubbish\n";
    const auto bad = diagnose({"internal.identity_public_file=" + secrets.file("bad.pub")});
    REQUIRE(bad.size() == 1);
    CHECK(bad[0].verdict == Verdict::fail);
    CHECK_THAT(bad[0].detail, Catch::Contains("bad.pub"));
}

TEST_CASE("a plain peer with the shared key", "[doctor]") {
    const Secrets secrets;
    InternalListener orders(secrets.shared_key(), {"order"});
    const std::string peer = "peers.order=" + orders.address();
    const auto found = diagnose({peer, "internal.shared_key_file=" + secrets.file("peers.key")});
    REQUIRE(found.size() == 2);
    CHECK(found[1].verdict == Verdict::ok);
    CHECK_THAT(found[1].detail, Catch::Contains("for the operator's"));
}
