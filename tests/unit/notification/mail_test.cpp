// No mail is lost, whatever fails between the event and the outbox folder.
#include "souk/failpoint.hpp"
#include "souk/json.hpp"
#include "souk/order/api.hpp"
#include "souk/user/api.hpp"
#include "unit/payment/module_harness.hpp"

#include <fmt/format.h>

#include <set>

namespace souk::notification {
const ModuleInfo& module();
}

using namespace souk;
using namespace souk::test;

namespace {

constexpr microseconds tick = milliseconds(250);

class Orders final : public order::Api {
public:
    Task<Result<std::vector<order::Order>>> get_many(CallContext, std::vector<std::string> ids)
        override {
        ++calls;
        most = std::max(most, ids.size());
        if (away) co_return unavailable("away", "the order module is away");
        std::vector<order::Order> found;
        for (const auto& id : ids)
            if (id != "ord_unknown") found.push_back(make(id));
        co_return found;
    }
    static order::Order make(const std::string& id) {
        const Money total(2653, Currency::gbp());
        order::Order order(id, "SO-" + id.substr(4), "usr_1", "paid", total);
        order.cancel_reason = "payment_declined";
        order.lines.emplace_back(
            "prd_1", "SKU1", "Tea & cakes {{name}}\r\nX", 2, UnitPrice::from_minor(1275), 2550
        );
        order.lines.emplace_back(
            "prd_2", "SKU2", "Bead", 1030, UnitPrice::parse_minor_decimal("0.1").value(), 103
        );
        return order;
    }
    bool away = false;
    int calls = 0;
    std::size_t most = 0;
};

class Users final : public user::Api {
public:
    Task<Result<std::vector<user::User>>> get_many(CallContext, std::vector<std::string> ids)
        override {
        std::vector<user::User> found;
        for (const auto& id : ids) {
            if (id == "usr_unknown") continue;
            user::User user;
            user.id = id;
            user.email =
                id == "usr_evil" ? "eve@example.org\r\nBcc: all@example.org" : "ann@example.org";
            user.name = name;
            found.push_back(user);
        }
        co_return found;
    }
    Task<Result<std::vector<user::SigningKey>>> signing_keys(CallContext) override {
        co_return std::vector<user::SigningKey>();
    }
    Task<Result<std::vector<user::Revocation>>> revocations(CallContext, std::int64_t) override {
        co_return std::vector<user::Revocation>();
    }
    std::string name = "Ann";
};

Settings settings() {
    std::map<std::string, std::string, std::less<>> values;
    values["from"] = "shop@example.com";
    values["batch"] = "64";
    return Settings(std::move(values));
}

class MailWorld : public ModuleHarness {
public:
    explicit MailWorld(std::size_t replicas = 1)
        : ModuleHarness(notification::module(), settings(), replicas) {
        table.provide("order", static_cast<void*>(static_cast<order::Api*>(&orders)));
        table.provide("user", static_cast<void*>(static_cast<user::Api*>(&users)));
        start();
    }

    static Event told(
        const std::string& type, const std::string& order_id, const std::string& user_id = "usr_1"
    ) {
        json::object data;
        data["order_id"] = order_id;
        data["user_id"] = user_id;
        Event event(type, order_id, 2, json::serialize(data));
        event.id = "evt_" + type + order_id;
        return event;
    }
    Result<void> tell(
        const std::string& type, const std::string& order_id, const std::string& user_id = "usr_1"
    ) {
        return deliver(told(type, order_id, user_id));
    }
    void until_count(const std::string& status, int wanted, microseconds step = usual_pace) {
        const auto query = fmt::format("SELECT COUNT(*) FROM mails WHERE status = '{}'", status);
        until([&] { return number(query) == wanted; }, step);
    }
    /// The files' contents, by name; temporary ones included.
    std::map<std::string, std::string> outbox() {
        std::map<std::string, std::string> files;
        if (std::filesystem::exists(folder() / "outbox"))
            for (const auto& entry : std::filesystem::directory_iterator(folder() / "outbox"))
                files[entry.path().filename().string()] = read_file(entry.path());
        return files;
    }
    std::string only_mail() {
        const auto files = outbox();
        REQUIRE(files.size() == 1);
        return files.begin()->second;
    }

    Orders orders;
    Users users;
};

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a paid order is confirmed with its lines and total") {
    MailWorld world;
    REQUIRE(world.tell("order.paid", "ord_1"));
    world.until_count("sent", 1);
    const auto mail = world.only_mail();
    CHECK(has(mail, "\r\nSubject: Your order SO-1 is paid\r\n"));
    CHECK(has(mail, "<ann@example.org>"));
    CHECK(has(mail, "\r\nDear Ann,\r\n"));
    // A product's name is text, not a template, and brings no line of its own.
    CHECK(has(mail, "\r\n2 x Tea & cakes {{name}}  X (SKU1) at 12.75 GBP: 25.50 GBP\r\n"));
    CHECK(has(mail, "\r\n1030 x Bead (SKU2) at 0.001 GBP: 1.03 GBP\r\n"));
    CHECK(has(mail, "\r\nTotal: 26.53 GBP\r\n"));
    CHECK(world.outbox().begin()->first == world.text("SELECT id FROM mails") + ".eml");
}

TEST_CASE("a cancelled order is told with its reason") {
    MailWorld world;
    REQUIRE(world.tell("order.cancelled", "ord_1"));
    world.until_count("sent", 1);
    const auto mail = world.only_mail();
    CHECK(has(mail, "\r\nSubject: Your order SO-1 was cancelled\r\n"));
    CHECK(has(mail, "because your payment was declined"));
}

TEST_CASE("a customer's name can't break the mail, in whatever script it is") {
    MailWorld world;
    world.users.name = "J\xc3\xbcrgen\r\nBcc: all@example.org";
    REQUIRE(world.tell("order.paid", "ord_1"));
    world.until_count("sent", 1);
    const auto mail = world.only_mail();
    const auto head = mail.substr(0, mail.find("\r\n\r\n"));
    CHECK_FALSE(has(head, "Bcc"));
    CHECK(has(head, "To: =?UTF-8?B?SsO8cmdlbi"));
    CHECK(has(mail, "\r\nDear J=C3=BCrgen  Bcc: all@example.org,\r\n"));
}

TEST_CASE("an event that comes twice is one mail; paid and cancelled are two") {
    MailWorld world;
    REQUIRE(world.tell("order.paid", "ord_1"));
    world.until_count("sent", 1);
    REQUIRE(world.tell("order.paid", "ord_1"));
    REQUIRE(world.tell("order.cancelled", "ord_1"));
    world.until_count("sent", 2);
    CHECK(world.outbox().size() == 2);
}

TEST_CASE("cut between the write and the mark, a mail is handed over again under its Message-ID") {
    const bool killed = GENERATE(false, true);
    MailWorld world;
    std::string first;
    {
        failpoint::arm("notification.after_write_before_mark", "error");
        REQUIRE(world.tell("order.paid", "ord_1"));
        world.until([&] {
            const auto files = world.outbox();
            return files.size() == 1 && files.begin()->first.ends_with(".eml");
        });
        first = world.only_mail();
        if (killed) {
            world.kill();
            world.start();
        } else {
            // The failpoint is passed once the lease was shortened.
            world.until([&] {
                const auto soon = to_micros(world.clock.now() + seconds(2));
                return world.number("SELECT next_at FROM mails") < soon;
            });
        }
        CHECK(world.number("SELECT COUNT(*) FROM mails WHERE status = 'sent'") == 0);
        failpoint::arm("notification.after_write_before_mark", "off");
    }
    std::filesystem::remove_all(world.folder() / "outbox");  // picked up by an agent meanwhile
    world.until_count("sent", 1, tick);
    CHECK(world.only_mail() == first);
    CHECK(has(first, "\r\nMessage-ID: <" + world.text("SELECT id FROM mails") + "@example.com>\r\n")
    );
}

TEST_CASE("mails wait while a peer is away or the folder can't be written") {
    const bool peer = GENERATE(true, false);
    MailWorld world;
    const auto obstacle = world.folder() / "outbox";
    if (peer)
        world.orders.away = true;
    else
        std::ofstream(obstacle) << "no folder";
    for (int i = 0; i < 3; ++i)
        REQUIRE(world.tell("order.paid", fmt::format("ord_{}", i)));
    for (int i = 0; i < 40; ++i) {
        world.work(milliseconds(2));
        world.clock.advance(tick);
    }
    CHECK(world.number("SELECT COUNT(*) FROM mails WHERE status = 'queued'") == 3);
    CHECK(world.orders.calls < 15);  // it backs off
    world.orders.away = false;
    if (!peer) std::filesystem::remove(obstacle);
    world.until_count("sent", 3, tick);
    CHECK(world.outbox().size() == 3);
}

TEST_CASE("what can't be delivered is marked and does not hold up the others") {
    MailWorld world;
    REQUIRE(world.tell("order.paid", "ord_1", "usr_unknown"));
    REQUIRE(world.tell("order.paid", "ord_2", "usr_evil"));
    REQUIRE(world.tell("order.paid", "ord_unknown"));
    REQUIRE(world.tell("order.paid", "ord_3"));
    world.until_count("undeliverable", 3);
    world.until_count("sent", 1);
    CHECK(world.text("SELECT reason FROM mails WHERE order_id = 'ord_1'") == "unknown_user");
    CHECK(world.text("SELECT reason FROM mails WHERE order_id = 'ord_2'") == "bad_address");
    CHECK(world.text("SELECT reason FROM mails WHERE order_id = 'ord_unknown'") == "unknown_order");
    const auto calls = world.orders.calls;
    for (int i = 0; i < 300; ++i)
        world.clock.advance(seconds(1)), world.work(milliseconds(1));
    CHECK(world.orders.calls == calls);
}

TEST_CASE("a backlog is handed over in batches of bounded size") {
    MailWorld world;
    world.orders.away = true;
    for (int i = 0; i < 150; ++i)
        REQUIRE(world.tell("order.paid", fmt::format("ord_{}", i)));
    world.kill();
    world.orders.away = false;
    world.clock.advance(seconds(600));
    world.orders.calls = 0;
    world.start();
    world.until_count("sent", 150, tick);
    CHECK(world.orders.most <= 64);
    CHECK(world.orders.calls == 3);
    CHECK(world.outbox().size() == 150);
}

TEST_CASE("two replicas hand each mail over once, into one folder") {
    constexpr int many = 100;
    MailWorld world(2);
    std::vector<Task<Result<void>>> deliveries;
    for (int i = 0; i < many; ++i)
        for (std::size_t to = 0; to < 2; ++to)
            deliveries.push_back(world.delivering(
                world.replica(to), MailWorld::told("order.paid", fmt::format("ord_{}", i))
            ));
    for (const auto& delivered : world.run_all(std::move(deliveries)))
        CHECK(delivered);
    world.until_count("sent", many, tick);
    CHECK(world.number("SELECT COUNT(*) FROM mails WHERE tries = 1") == many);
    const auto files = world.outbox();
    CHECK(files.size() == many);
    for (const auto& [name, text] : files)
        CHECK(has(text, "\r\nMessage-ID: <" + name.substr(0, name.find('.')) + "@example.com>\r\n")
        );
}

TEST_CASE("what a try left half written is removed by the next one") {
    MailWorld world;
    world.orders.away = true;
    REQUIRE(world.tell("order.paid", "ord_1"));
    world.until([&] { return world.number("SELECT tries FROM mails") == 1; });
    const auto folder = world.folder() / "outbox";
    std::filesystem::create_directory(folder);
    std::ofstream(folder / ("." + world.text("SELECT id FROM mails") + ".1.tmp")) << "half";
    world.orders.away = false;
    world.until_count("sent", 1, tick);
    CHECK(has(world.only_mail(), "\r\nSubject: Your order SO-1 is paid\r\n"));
}

TEST_CASE("the audit lists every mail once") {
    MailWorld world;
    for (int i = 0; i < 5; ++i)
        REQUIRE(world.tell("order.paid", fmt::format("ord_{}", i)));
    world.until_count("sent", 5);
    std::set<std::string> seen;
    std::string cursor;
    for (int pages = 0;; ++pages) {
        REQUIRE(pages < 10);
        auto query = "limit=2" + (cursor.empty() ? "" : "&cursor=" + cursor);
        auto response = world.get(Identity(), "/internal/notification/audit", query);
        REQUIRE(response);
        const auto page = json::parse(response->body).value().as_object();
        for (const auto& row : page.at("data").as_array()) {
            CHECK(row.at("kind").as_string() == "mail");
            CHECK(row.at("template").as_string() == "order_paid");
            CHECK(row.at("status").as_string() == "sent");
            CHECK(seen.insert(std::string(row.at("order_id").as_string())).second);
        }
        if (!page.at("has_more").as_bool()) break;
        cursor = std::string(page.at("next_cursor").as_string());
    }
    CHECK(seen.size() == 5);
}
