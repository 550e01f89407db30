#include "souk/together.hpp"

#include "base/signal.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <catch2/catch.hpp>

#include <stdexcept>
#include <string>

using namespace souk;

namespace {

using Doubling = Together<int, int>;

/// Work that ends when it is told to.
struct Desk {
    explicit Desk(std::size_t hands, std::size_t most)
        : doubling(io.get_executor(), hands, most, [this](std::vector<int> all) {
            return work(*this, std::move(all));
        }) {}

    static Task<Doubling::Answers> work(Desk& self, std::vector<int> all) {
        self.begun.push_back(all);
        base::Timer gate(self.io, base::Timer::time_point::max());
        self.gates.push_back(&gate);
        boost::system::error_code ignored;
        co_await gate.async_wait(asio::redirect_error(use_task, ignored));
        if (self.broken) throw std::runtime_error("broken");
        Doubling::Answers answers;
        for (const int n : all) {
            if (n < 0)
                answers.push_back(invalid("negative", ""));
            else
                answers.push_back(2 * n);
        }
        if (self.forgetful) answers.pop_back();
        co_return answers;
    }
    static Task<void> ask(Desk& self, int n, std::string& out) {
        try {
            auto answer = co_await self.doubling.call(n);
            out = answer ? std::to_string(*answer) : answer.error().code;
        } catch (const std::exception& e) {
            out = std::string("threw ") + e.what();
        }
    }
    /// As one that looks at its cancellation itself, and so hears the answer.
    static Task<void> leave_and_tell(Desk& self, int n, std::string& out) {
        co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
        co_await asio::this_coro::throw_if_cancelled(false);
        auto answer = co_await self.doubling.call(n);
        out = answer ? std::to_string(*answer) : answer.error().code;
    }
    static Task<void> rest(Desk& self, bool& out) {
        co_await self.doubling.rest();
        out = true;
    }
    std::string& call(int n) {
        std::string& out = outcomes.emplace_back();
        asio::co_spawn(io, ask(*this, n, out), asio::detached);
        poll();
        return out;
    }
    void end_one() {
        base::Timer* gate = gates.front();
        gates.erase(gates.begin());
        gate->cancel();
        poll();
    }
    void poll() {
        io.restart();
        io.poll();
    }

    asio::io_context io;
    std::vector<std::vector<int>> begun;
    std::vector<base::Timer*> gates;
    std::deque<std::string> outcomes;
    bool broken = false;
    bool forgetful = false;
    Doubling doubling;
};

using Batches = std::vector<std::vector<int>>;

}  // namespace

TEST_CASE("what comes while a batch is under way makes up the next one") {
    Desk desk(1, 3);
    const std::string& first = desk.call(1);
    CHECK(desk.begun == Batches{{1}});  // nobody waits for company
    const std::string& refused = desk.call(-1);
    for (int n = 2; n <= 4; ++n)
        desk.call(n);
    CHECK(desk.begun.size() == 1);
    desk.end_one();
    CHECK(first == "2");
    CHECK(desk.begun == Batches{{1}, {-1, 2, 3}});
    desk.end_one();
    CHECK(refused == "negative");  // each its own answer
    CHECK(desk.outcomes[2] == "4");
    CHECK(desk.begun.back() == std::vector<int>{4});
    desk.end_one();
    CHECK(desk.outcomes.back() == "8");
    CHECK(desk.gates.empty());
    desk.call(5);  // who rested begins again
    CHECK(desk.begun.back() == std::vector<int>{5});
    desk.end_one();
}

TEST_CASE("several hands take a batch each, and no more") {
    Desk desk(2, 10);
    for (int n = 1; n <= 4; ++n)
        desk.call(n);
    CHECK(desk.begun == Batches{{1}, {2}});
    desk.end_one();
    CHECK(desk.begun == Batches{{1}, {2}, {3, 4}});
    desk.end_one();
    desk.end_one();
    CHECK(desk.outcomes == std::deque<std::string>{"2", "4", "6", "8"});
}

TEST_CASE("what the work throws reaches all of its batch as it is, and the next one is begun") {
    Desk desk(1, 2);
    for (int n = 1; n <= 4; ++n)
        desk.call(n);
    desk.end_one();
    desk.broken = true;
    desk.end_one();
    desk.broken = false;
    desk.end_one();
    CHECK(desk.outcomes == std::deque<std::string>{"2", "threw broken", "threw broken", "8"});
}

TEST_CASE("work that forgets an answer is broken, and nobody waits for ever") {
    Desk desk(1, 10);
    desk.call(0);
    desk.call(1);
    desk.call(2);
    desk.forgetful = true;
    desk.end_one();
    CHECK(desk.outcomes[0].starts_with("threw "));
    desk.end_one();
    CHECK(desk.outcomes[1].starts_with("threw "));
    CHECK(desk.outcomes[2].starts_with("threw "));
    desk.forgetful = false;
    desk.call(3);
    desk.end_one();
    CHECK(desk.outcomes[3] == "6");
}

TEST_CASE("a caller that leaves takes nobody along") {
    Desk desk(1, 10);
    desk.call(1);
    asio::cancellation_signal leave;
    std::string left;
    asio::co_spawn(
        desk.io,
        Desk::ask(desk, 2, left),
        asio::bind_cancellation_slot(leave.slot(), [](const std::exception_ptr&) {})
    );
    desk.call(3);
    leave.emit(asio::cancellation_type::terminal);
    desk.poll();
    desk.end_one();
    CHECK(desk.begun.back() == std::vector<int>{3});  // nobody would look after the other
    desk.end_one();
    CHECK(desk.outcomes[1] == "6");
}

TEST_CASE("who leaves is told at once that the outcome is unknown, and its answer harms nobody") {
    Desk desk(1, 10);
    asio::cancellation_signal leave;
    std::string left;
    asio::co_spawn(
        desk.io,
        Desk::leave_and_tell(desk, 1, left),
        asio::bind_cancellation_slot(leave.slot(), asio::detached)
    );
    desk.poll();
    CHECK(desk.begun == Batches{{1}});
    leave.emit(asio::cancellation_type::total);
    desk.poll();
    CHECK(left == "commit_unknown");  // before the work has ended
    desk.call(2);
    desk.end_one();  // the answer that nobody waits for
    desk.end_one();
    CHECK(desk.outcomes[0] == "4");
}

TEST_CASE("what was begun for a caller that left is waited for") {
    Desk desk(1, 10);
    asio::cancellation_signal leave;
    std::string left;
    asio::co_spawn(
        desk.io,
        Desk::ask(desk, 1, left),
        asio::bind_cancellation_slot(leave.slot(), [](const std::exception_ptr&) {})
    );
    desk.poll();
    desk.call(2);
    leave.emit(asio::cancellation_type::terminal);
    bool rested = false;
    asio::co_spawn(desk.io, Desk::rest(desk, rested), asio::detached);
    desk.poll();
    CHECK_FALSE(rested);
    desk.end_one();
    CHECK_FALSE(rested);
    desk.end_one();
    CHECK(rested);
    CHECK(desk.outcomes[0] == "4");
    rested = false;
    asio::co_spawn(desk.io, Desk::rest(desk, rested), asio::detached);
    desk.poll();
    CHECK(rested);  // nothing is under way
}

TEST_CASE("more than may wait are refused, and who leaves makes room") {
    Desk desk(1, 10);
    desk.call(0);
    asio::cancellation_signal leave;
    std::string left;
    asio::co_spawn(
        desk.io,
        Desk::ask(desk, -1, left),
        asio::bind_cancellation_slot(leave.slot(), [](const std::exception_ptr&) {})
    );
    for (int n = 1; n < 1024; ++n)
        desk.call(n);
    CHECK(desk.call(1) == "busy");
    leave.emit(asio::cancellation_type::terminal);
    desk.poll();
    CHECK(desk.call(7).empty());
    while (!desk.gates.empty())
        desk.end_one();
    CHECK(desk.outcomes.back() == "14");
}

TEST_CASE("what is nobody's fault is everybody's answer, rows that others hold are not") {
    CHECK(concerns_all(unavailable("commit_unknown", "")));
    CHECK(concerns_all(unavailable("busy", "")));
    CHECK_FALSE(concerns_all(unavailable("lock_timeout", "")));
    CHECK_FALSE(concerns_all(unavailable("serialization", "")));
    CHECK_FALSE(concerns_all(conflict("not_null_violation", "")));
    CHECK_FALSE(concerns_all(Error(ErrorKind::timeout, "timeout", "")));
}
