// Death at each step that has a name. The process dies there by SIGKILL, is started again, and the
// client repeats what it got no answer to, under the same keys. All cases run side by side: most of
// their time is a wait for the leases of the dead.
#include "support/shop.hpp"
#include "support/split_shop.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <array>
#include <csignal>
#include <future>
#include <memory>
#include <semaphore>
#include <set>
#include <stdexcept>
#include <thread>

using namespace souk;
using test::Environment;
using test::Shop;
using test::Wish;

namespace {

constexpr int orders_placed = 10;
constexpr int tries = 600;
constexpr std::chrono::milliseconds retry_pause{50};
constexpr std::chrono::seconds death_limit{30};
constexpr int settle_s = 75;
// The fifth order is declined, so that every case cancels and compensates, too.
constexpr std::array payments = {
    "tok_approve", "tok_approve", "tok_charge_then_timeout", "tok_approve", "tok_decline"};

/// Where to die, at which pass, and whether orders are given up after a second meanwhile: then
/// charges, voids, refunds and returned stock meet the death. In a split one process dies, and
/// counts its own passes.
struct Death {
    const char* failpoint;
    bool impatient = false;
    const char* process = "order";
};

constexpr std::array deaths = {
    Death{"order.after_claim=crash@4"},
    Death{"order.after_reserve=crash@4"},
    Death{"order.after_commit=crash@4"},
    Death{"outbox.append=crash@6"},
    Death{"payment.after_claim=crash@3", false, "payment"},
    Death{"payment.after_charge=crash@3", false, "payment"},
    Death{"payment.after_charge=crash@5", false, "payment"},
    Death{"payment.after_charge=crash@11", true, "payment"},
    Death{"payment.after_commit=crash@3", false, "payment"},
    Death{"payment.after_commit=crash@9", true, "payment"},
    Death{"notification.after_write_before_mark=crash@2", false, "notification"},
};

// Between the modules, where all of them run in one process.
constexpr std::array whole_deaths = {
    Death{"bus.before_consume=crash@7"},
    Death{"bus.after_consume_before_cursor=crash@7"},
    Death{"bus.after_consume_before_cursor=crash@12"},
    Death{"bus.after_consume_before_cursor=crash@20", true},
};

constexpr std::array split_deaths = {
    Death{"bus.before_consume=crash@3", false, "payment"},
    Death{"bus.before_consume=crash@3", false, "order"},
    Death{"bus.after_consume_before_cursor=crash@3", false, "payment"},
    Death{"bus.after_consume_before_cursor=crash@3", true, "order"},
    Death{"bus.after_consume_before_cursor=crash@3", true, "product"},
    Death{"bus.after_consume_before_cursor=crash@3", false, "notification"},
};

// Of the driver's own. Starting takes about ten commits; the death is meant for the orders.
constexpr std::array embedded_deaths = {
    Death{"sqlite.before_commit=crash@30"},
    Death{"sqlite.before_commit=crash@45"},
    Death{"sqlite.before_commit=crash@90", true},
    Death{"sqlite.after_commit=crash@30"},
    Death{"sqlite.after_commit=crash@45"},
    Death{"sqlite.after_commit=crash@90", true},
};

struct Placed {
    Placed(std::string token, json::value answer, std::string payment)
        : token(std::move(token)), answer(std::move(answer)), payment(std::move(payment)) {}
    std::string token;
    json::value answer;
    std::string payment;
};

/// One case: a thread, a shop, a client that does not give up. Catch2's macros are for one thread,
/// so faults are texts.
class Case {
public:
    explicit Case(Death death)
        : failpoint_(death.failpoint)
        , impatient_(death.impatient)
        , process_(death.process)
        , shop_({"--set", impatient_ ? "modules.order.payment_timeout=1s" : "log.level=info"}) {}

    std::vector<std::string> run() {
        try {
            prepare();
            for (int i = 0; i < orders_placed; ++i)
                place(i);
            // What runs behind the orders dies a little later.
            test::eventually(death_limit, [this] { return !shop_.process().running() || died_; });
            revive_if_dead();
            if (!died_) fault("the process never died");
            check();
        } catch (const std::exception& e) {
            fault(e.what());
        }
        return faults_;
    }

private:
    void fault(const std::string& text) {
        faults_.push_back(fmt::format("{} ({}): {}", failpoint_, process_, text));
    }

    void start(const std::string& failpoint) {
        Environment environment = {{"SOUK_FAILPOINTS", failpoint}};
        if (!test::in_parts()) return shop_.start(std::move(environment));
        shop_.parts().set_environment(process_, std::move(environment));
        shop_.start();
    }

    void prepare() {
        shop_.start();
        product_ = shop_.add_products({{"CUP", 1000, "1250"}}).at("CUP");
        for (const std::string& customer : shop_.add_customers(orders_placed))
            tokens_.push_back(shop_.token(customer));
        if (shop_.process().stop() != 0) throw std::runtime_error("did not stop in order");
        start(failpoint_);
    }

    bool revive_if_dead() {
        if (shop_.process().running()) return false;
        const int code = shop_.process().wait();
        if (code != 128 + SIGKILL) fault(fmt::format("ended with {}", code));
        died_ = true;
        start("");
        return true;
    }

    void place(int i) {
        std::string payment = payments[static_cast<std::size_t>(i) % payments.size()];
        if (impatient_ && i % 2 == 0) payment = "tok_timeout";  // paid too late
        const Wish wish(product_, i + 1, payment);
        for (int n = 0; n < tries; ++n) {
            const auto answer = try_place(i, wish);
            if (answer.status == 201) {
                placed_.emplace_back(
                    tokens_[static_cast<std::size_t>(i)], test::parse(answer), payment
                );
                return;
            }
            const bool again = answer.status == 0 || answer.status >= 500 ||
                               (answer.status == 409 && answer.headers.has("Retry-After"));
            if (!again) throw std::runtime_error(fmt::format("{} {}", answer.status, answer.body));
            revive_if_dead();  // a gateway answers for the dead
            std::this_thread::sleep_for(retry_pause);
        }
        throw std::runtime_error(fmt::format("order {} was never answered", i));
    }

    /// Status 0: nobody answered.
    http::Response try_place(int i, const Wish& wish) {
        try {
            return shop_.place(
                tokens_[static_cast<std::size_t>(i)], fmt::format("key-{}", i), wish
            );
        } catch (const std::runtime_error&) {
            // The kernel closes its sockets a little before the process counts as ended.
            test::eventually(std::chrono::seconds(1), [this] {
                return !shop_.process().running();
            });
            revive_if_dead();
            http::Response nothing;
            nothing.status = 0;
            return nothing;
        }
    }

    void check() {
        std::set<std::string> ids;
        for (const Placed& order : placed_)
            check_order(order, ids);
        if (ids.size() != orders_placed) fault(fmt::format("{} different orders", ids.size()));

        const json::value verdict = shop_.verify(settle_s);
        if (const auto faults = test::faults_of(verdict); !faults.empty()) fault(faults);
        for (const auto& [order, captures] : shop_.captures())
            if (captures != 1) fault(fmt::format("{} was captured {} times", order, captures));

        std::int64_t orders = 0;
        for (const auto& count : verdict.at("counts").as_object())
            if (count.key().starts_with("orders_")) orders += count.value().as_int64();
        if (orders != orders_placed) fault(fmt::format("{} orders in the books", orders));
        const auto mails = static_cast<std::int64_t>(shop_.mails().size());
        if (mails != orders_placed) fault(fmt::format("{} mails", mails));
    }

    void check_order(const Placed& placed, std::set<std::string>& ids) {
        const std::string id(placed.answer.at("id").as_string());
        ids.insert(id);
        const json::value now = shop_.settled_order(placed.token, id);
        for (const char* member : {"number", "items", "total"})
            if (now.at(member) != placed.answer.at(member))
                fault(fmt::format("{}: another {} than was acknowledged", id, member));
        const std::string wanted = placed.payment == "tok_decline" ? "cancelled" : "paid";
        const std::string status(now.at("status").as_string());
        if (status != wanted && !impatient_)
            fault(fmt::format("{} ({}) is {}", id, placed.payment, status));
    }

    const std::string failpoint_;
    const bool impatient_;
    const std::string process_;
    Shop shop_;
    std::string product_;
    std::vector<std::string> tokens_;
    std::vector<Placed> placed_;
    bool died_ = false;
    std::vector<std::string> faults_;
};

/// Six processes a case are many at once for PostgreSQL's connections.
std::counting_semaphore<>& slots() {
    static std::counting_semaphore<> all(test::in_parts() ? 4 : 64);
    return all;
}

std::vector<std::string> run_case(Death death) {
    slots().acquire();
    const std::shared_ptr<void> slot(nullptr, [](void*) { slots().release(); });
    Case one(death);
    return one.run();
}

}  // namespace

TEST_CASE("killed at any named step, no acknowledged order is lost, doubled or left open") {
    std::vector<std::future<std::vector<std::string>>> running;
    std::vector<Death> all(deaths.begin(), deaths.end());
    if (!test::on_servers()) all.insert(all.end(), embedded_deaths.begin(), embedded_deaths.end());
    if (test::in_parts())
        all.insert(all.end(), split_deaths.begin(), split_deaths.end());
    else
        all.insert(all.end(), whole_deaths.begin(), whole_deaths.end());
    for (const Death& death : all)
        running.push_back(std::async(std::launch::async, run_case, death));
    for (auto& one : running) {
        const std::vector<std::string> faults = one.get();
        CHECK(fmt::format("{}", fmt::join(faults, "\n")) == "");
    }
}
