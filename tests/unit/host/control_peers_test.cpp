// Commands on a split shop: the operator's requests to each module's process, over real sockets.
#include "host/control_peers.hpp"

#include "internal_listener.hpp"
#include "souk/json.hpp"
#include "support/run_task.hpp"

#include <catch2/catch.hpp>

#include <filesystem>

using namespace souk;
using namespace souk::host;
using namespace souk::host::test;

namespace {

using Flags = std::vector<std::string>;
using Texts = std::vector<std::string>;

ModuleInfo module(std::string_view name) {
    ModuleInfo info{};
    info.name = name;
    return info;
}

const ModuleInfo user = module("user");
const ModuleInfo order = module("order");
const ModuleInfo payment = module("payment");
const std::vector<const ModuleInfo*> available = {&user, &order, &payment};

Flags operator_flags(const Secrets& secrets, const Flags& peers, const std::string& role) {
    Flags flags = credential_flags(secrets, role);
    flags.insert(flags.end(), peers.begin(), peers.end());
    return flags;
}

/// A command's way to the shop that `flags` describe.
class Command {
public:
    explicit Command(const Flags& flags) {
        auto metrics = observe::make_metrics();
        auto opened = souk::test::run_task(
            context_,
            ControlClient::open(
                context_.get_executor(), config_of(flags), available, base::system_clock(), *metrics
            )
        );
        REQUIRE(opened.has_value());
        client_ = std::move(*opened);
        CHECK_FALSE(client_->in_process());
    }
    Result<http::Response> get(std::string target) {
        return souk::test::run_task(context_, client_->send(http::Method::get, std::move(target)));
    }
    Result<http::Response> post(std::string target, std::string body) {
        return souk::test::run_task(
            context_, client_->send(http::Method::post, std::move(target), std::move(body))
        );
    }

private:
    asio::io_context context_;
    std::unique_ptr<ControlClient> client_;
};

Texts consumers_in(const http::Response& response) {
    Texts out;
    const auto body = json::parse(response.body).value();
    for (const json::value& letter : body.at("data").as_array())
        out.push_back(
            std::string(letter.at("consumer").as_string()) + ' ' +
            std::string(letter.at("event").at("id").as_string())
        );
    return out;
}

}  // namespace

TEST_CASE("a path tells whose it is", "[control]") {
    CHECK(module_of("/internal/order/audit?limit=1", available) == &order);
    CHECK(module_of("/api/orders", available) == &order);
    CHECK(module_of("/api/orders?limit=1", available) == &order);
    CHECK(module_of("/api/users/import", available) == &user);
    for (const auto* path : {"/api/ordersx", "/internal/orders/audit", "/health", "/", "", "/api/"})
        CHECK(module_of(path, available) == nullptr);
}

TEST_CASE("commands go to the process of the module, as the operator", "[control]") {
    const Secrets secrets;
    InternalListener users(secrets, {"user"});
    InternalListener orders(secrets, {"order"});
    Command command(operator_flags(
        secrets, {"peers.user=" + users.address(), "peers.order=" + orders.address()}, "operator"
    ));
    CHECK(command.get("/internal/order/audit?limit=1000").value().status == 200);
    CHECK(command.post("/api/users", "{}").value().status == 200);  // what an admin only may
    CHECK(orders.asked() == Texts{"system /internal/order/audit"});
    CHECK(users.asked() == Texts{"system /api/users {}"});

    const auto nowhere = command.get("/internal/payment/audit");
    REQUIRE(nowhere.has_error());
    CHECK(nowhere.error().code == "config");
    CHECK(nowhere.error().detail.find("peers.payment is not set") != std::string::npos);
}

TEST_CASE("with the peers' shared key as well", "[control]") {
    const Secrets secrets;
    InternalListener users(secrets.shared_key(), {"user"});
    const std::string peers = "peers.user=" + users.address();
    Command command({peers, "internal.shared_key_file=" + secrets.file("peers.key")});
    CHECK(command.post("/api/users", "{}").value().status == 200);
    CHECK(command.get("/internal/user/audit").value().status == 200);
    // Another key: made here, as a shop's first process would.
    Command stranger({peers, "internal.shared_key_file=" + secrets.file("other.key")});
    const auto refused = stranger.get("/internal/user/audit");
    REQUIRE(refused.has_error());
    CHECK(refused.error().code == "peer_refused");
    CHECK(users.asked().size() == 2);
}

TEST_CASE("who is not the operator hears what to set", "[control]") {
    const Secrets secrets;
    InternalListener users(secrets, {"user"});
    const auto role = GENERATE(as<std::string>{}, "order", "payment");  // a peer; nobody to user
    Command command(operator_flags(secrets, {"peers.user=" + users.address()}, role));
    const auto refused = command.get("/internal/user/audit");
    REQUIRE(refused.has_error());
    CHECK(refused.error().code == "peer_refused");
    CHECK(refused.error().detail.find("user at " + users.address()) != std::string::npos);
    CHECK(refused.error().detail.find("operator.crt") != std::string::npos);
    CHECK(users.asked().empty());
}

TEST_CASE("a server must prove to be of our authority", "[control]") {
    const Secrets ours;
    const Secrets theirs;
    InternalListener users(theirs, {"user"});
    Command command(operator_flags(ours, {"peers.user=" + users.address()}, "operator"));
    const auto result = command.get("/internal/user/audit");
    REQUIRE(result.has_error());
    CHECK(result.error().code == "connect");
    CHECK(users.asked().empty());
}

TEST_CASE("where one address is dead the next is asked", "[control]") {
    const Secrets secrets;
    InternalListener users(secrets, {"user"});
    std::string dead;
    {
        const InternalListener gone(secrets, {"user"});
        dead = gone.address();
    }
    Command command(
        operator_flags(secrets, {"peers.user=" + dead + ", " + users.address()}, "operator")
    );
    CHECK(command.get("/internal/user/audit").value().status == 200);
    Command alone(operator_flags(secrets, {"peers.user=" + dead}, "operator"));
    const auto result = alone.get("/internal/user/audit");
    REQUIRE(result.has_error());
    CHECK(result.error().detail.find("user at " + dead) != std::string::npos);
}

TEST_CASE("dead letters of all processes are one list", "[control]") {
    const Secrets secrets;
    InternalListener users(secrets, {"user"});
    InternalListener both(secrets, {"order", "payment"});
    users.letters.emplace_back("user", "evt_1");
    both.letters.emplace_back("order", "evt_1");
    both.letters.emplace_back("payment", "evt_2");
    Command command(operator_flags(
        secrets,
        {"peers.user=" + users.address(),
         "peers.order=" + both.address(),
         "peers.payment=" + both.address()},
        "operator"
    ));
    const auto list = command.get("/internal/events/dead");
    REQUIRE(list.has_value());
    CHECK(consumers_in(*list) == Texts{"order evt_1", "payment evt_2", "user evt_1"});

    const std::string letter = R"({"consumer":"user","event_id":"evt_1"})";
    CHECK(command.post("/internal/events/dead/replay", letter).value().status == 200);
    CHECK(users.asked().back() == "system /internal/events/dead/replay " + letter);
    for (const std::string& request : both.asked())
        CHECK(request == "system /internal/events/dead");
    CHECK(command.post("/internal/events/dead/replay", "{}").has_error());
}

TEST_CASE("a list of dead letters that lacks a process's is none", "[control]") {
    const Secrets secrets;
    InternalListener users(secrets, {"user"});
    Command command(operator_flags(
        secrets, {"peers.user=" + users.address(), "peers.order=https://127.0.0.1:1"}, "operator"
    ));
    const auto list = command.get("/internal/events/dead");
    REQUIRE(list.has_error());
    CHECK(list.error().detail.find("order at https://127.0.0.1:1") != std::string::npos);
}

TEST_CASE("peers that are set are the shop, and no data folder is", "[control]") {
    const souk::test::TempFolder folder;
    const auto data = folder.path() / "data";
    const auto open = [&](const Flags& flags) {
        asio::io_context context;
        auto metrics = observe::make_metrics();
        auto opened = souk::test::run_task(
            context,
            ControlClient::open(
                context.get_executor(), config_of(flags), available, base::system_clock(), *metrics
            )
        );
        return opened ? std::string() : opened.error().detail;
    };
    const Secrets secrets;
    const std::string here = "data.dir=" + data.string();
    const std::string peer = "peers.user=https://127.0.0.1:1";
    CHECK(open({here, peer}).find("operator.crt") != std::string::npos);
    CHECK(
        open({here, peer, "internal.shared_key_file=" + secrets.file("peers.key")})
            .find("peers.user: https needs") != std::string::npos
    );
    CHECK(
        open(operator_flags(secrets, {here, "peers.user=ftp://x"}, "operator"))
            .find("peers.user: \"ftp://x\"") != std::string::npos
    );
    CHECK(open(operator_flags(secrets, {here, peer}, "operator")).empty());
    CHECK_FALSE(std::filesystem::exists(data));
}
