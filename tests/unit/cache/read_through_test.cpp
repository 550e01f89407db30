#include "base/virtual_clock.hpp"
#include "cache/memory.hpp"
#include "souk/cache.hpp"
#include "support/run_task.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <catch2/catch.hpp>

#include <atomic>
#include <list>
#include <set>
#include <thread>

using namespace souk;

namespace {

using Answer = Result<std::string>;
constexpr milliseconds ttl{1000};

std::string text(const Answer& answer) {
    return answer ? *answer : "error: " + answer.error().code;
}

/// A database that answers when the test lets it, and counts how often it is asked.
class Source {
public:
    explicit Source(Clock& clock) : clock_(clock) {}

    ReadThrough::Load load() {
        return [this] { return answer(); };
    }
    Task<Answer> answer() {
        ++asked;
        ++running;
        const Running guard(running);
        while (held)
            co_await clock_.sleep(milliseconds(1));
        co_return result;
    }

    bool held = false;
    Answer result = std::string("value");
    std::atomic<int> asked = 0;
    std::atomic<int> running = 0;

private:
    struct Running {
        explicit Running(std::atomic<int>& count) : count(count) {}
        ~Running() { --count; }
        std::atomic<int>& count;
    };
    Clock& clock_;
};

/// Some that read at the same time on one thread.
class Readers {
public:
    struct Reader {
        std::string answer;  // in words; empty when there is none
        bool ended = false;
        asio::cancellation_signal cancel;
    };

    Reader& read(const std::string& key, ReadThrough::Load load, Deadline by = Deadline::never()) {
        Reader& reader = readers_.emplace_back();
        auto done = [&reader](const std::exception_ptr& failure, Answer answer) {
            reader.ended = true;
            if (!failure) reader.answer = text(answer);
        };
        asio::co_spawn(
            context,
            through.read(key, ttl, by, std::move(load)),
            asio::bind_cancellation_slot(reader.cancel.slot(), std::move(done))
        );
        return reader;
    }
    void run() {
        context.restart();
        while (context.poll() > 0) {
        }
    }
    /// Lets time pass until all who sleep or wait were woken.
    void run_for(milliseconds time) {
        for (milliseconds passed{0}; passed < time; ++passed) {
            clock.advance(milliseconds(1));
            run();
        }
    }
    std::string read_now(const std::string& key, ReadThrough::Load load) {
        Reader& reader = read(key, std::move(load));
        run();
        run_for(milliseconds(400));
        return reader.answer;
    }

    base::VirtualClock clock;
    asio::io_context context;
    asio::executor_work_guard<Executor> guard{context.get_executor()};
    std::unique_ptr<Cache> cache = cache::make_memory_cache(clock, 1 << 20);
    ReadThrough through{*cache, clock};
    Source source{clock};

private:
    std::list<Reader> readers_;
};

}  // namespace

TEST_CASE("a thousand who miss at the same time load once", "[read_through]") {
    Readers readers;
    readers.source.held = true;
    std::vector<Readers::Reader*> all;
    for (int i = 0; i < 1000; ++i)
        all.push_back(&readers.read("a", readers.source.load()));
    readers.run();
    CHECK(readers.source.asked == 1);
    readers.source.held = false;
    readers.run_for(milliseconds(2));
    for (auto* reader : all)
        REQUIRE(reader->answer == "value");
    CHECK(readers.source.asked == 1);
    CHECK(readers.read_now("a", readers.source.load()) == "value");
    CHECK(readers.source.asked == 1);
    CHECK(readers.read_now("b", readers.source.load()) == "value");
    CHECK(readers.source.asked == 2);
}

TEST_CASE("threads that miss at the same time load once", "[read_through]") {
    base::VirtualClock clock;
    auto cache = cache::make_memory_cache(clock, 1 << 20);
    ReadThrough through(*cache, clock);
    Source source(clock);
    std::atomic<int> wrong = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            asio::io_context context;
            for (int i = 0; i < 500; ++i) {
                const std::string key = "k" + std::to_string(i);
                auto read = through.read(key, ttl, Deadline::never(), source.load());
                if (text(test::run_task(context, std::move(read))) != "value") ++wrong;
            }
        });
    for (auto& thread : threads)
        thread.join();
    CHECK(wrong == 0);
    CHECK(source.asked == 500);
}

TEST_CASE("an error goes to all who wait and is not kept", "[read_through]") {
    Readers readers;
    readers.source.held = true;
    readers.source.result = unavailable("away", "no database");
    auto& first = readers.read("a", readers.source.load());
    auto& second = readers.read("a", readers.source.load());
    readers.run();
    readers.source.held = false;
    readers.run_for(milliseconds(2));
    CHECK(first.answer == "error: away");
    CHECK(second.answer == "error: away");
    CHECK(readers.source.asked == 1);

    readers.source.result = std::string("value");
    const SteadyTime before = readers.clock.steady();
    auto& third = readers.read("a", readers.source.load());
    readers.run();
    CHECK(third.answer == "value");
    CHECK(readers.clock.steady() == before);  // nobody had to wait for the lease
    CHECK(readers.source.asked == 2);
}

TEST_CASE("one who runs out of time makes nobody else fail", "[read_through]") {
    Readers readers;
    readers.source.held = true;
    readers.source.result = Error(ErrorKind::timeout, "timeout", "too late");
    Source quick(readers.clock);
    auto& hurried = readers.read("a", readers.source.load());
    auto& patient = readers.read("a", quick.load());
    readers.run();
    CHECK(quick.asked == 0);
    readers.source.held = false;
    readers.run_for(milliseconds(2));
    CHECK(hurried.answer == "error: timeout");
    CHECK(patient.answer == "value");
    CHECK(quick.asked == 1);
}

TEST_CASE("who waits for another's load waits no longer than its own deadline", "[read_through]") {
    Readers readers;
    readers.source.held = true;
    auto& slow = readers.read("a", readers.source.load());
    auto& hurried =
        readers.read("a", readers.source.load(), Deadline(readers.clock, milliseconds(50)));
    readers.run();
    readers.run_for(milliseconds(49));
    CHECK_FALSE(hurried.ended);
    readers.run_for(milliseconds(2));
    CHECK(hurried.answer == "error: timeout");
    readers.source.held = false;
    readers.run_for(milliseconds(2));
    CHECK(slow.answer == "value");
    CHECK(readers.source.asked == 1);
}

TEST_CASE("when the one who loads is cancelled, another takes its place", "[read_through]") {
    Readers readers;
    readers.source.held = true;
    auto& first = readers.read("a", readers.source.load());
    auto& second = readers.read("a", readers.source.load());
    auto& third = readers.read("a", readers.source.load());
    readers.run();
    CHECK(readers.source.asked == 1);
    first.cancel.emit(asio::cancellation_type::terminal);
    readers.source.held = false;
    readers.run();
    CHECK(first.ended);
    readers.run_for(milliseconds(400));
    CHECK(second.answer == "value");
    CHECK(third.answer == "value");
    CHECK(readers.source.asked == 2);
    CHECK(readers.source.running == 0);
}

TEST_CASE("one who waits and is cancelled leaves nothing behind", "[read_through]") {
    Readers readers;
    readers.source.held = true;
    auto& first = readers.read("a", readers.source.load());
    auto& second = readers.read("a", readers.source.load());
    auto& timed = readers.read("a", readers.source.load(), Deadline(readers.clock, seconds(9)));
    readers.run();
    second.cancel.emit(asio::cancellation_type::terminal);
    timed.cancel.emit(asio::cancellation_type::terminal);
    readers.run();
    CHECK(second.ended);
    CHECK(timed.ended);
    readers.source.held = false;
    readers.run_for(milliseconds(2));
    CHECK(first.answer == "value");
    CHECK(readers.source.asked == 1);
}

TEST_CASE("who waits may be gone with its whole context", "[read_through]") {
    Readers readers;
    readers.source.held = true;
    auto& first = readers.read("a", readers.source.load());
    readers.run();
    {
        asio::io_context other;
        auto read = readers.through.read("a", ttl, Deadline::never(), readers.source.load());
        asio::co_spawn(other, std::move(read), [](const std::exception_ptr&, const Answer&) {});
        other.poll();
    }
    readers.source.held = false;
    readers.run_for(milliseconds(2));
    CHECK(first.answer == "value");
}

TEST_CASE("a value loaded before an erase is answered, but not kept", "[read_through]") {
    Readers readers;
    readers.source.held = true;
    auto& reader = readers.read("a", readers.source.load());
    readers.run();
    test::run_task(readers.cache->erase("a"));  // somebody committed meanwhile
    readers.source.held = false;
    readers.run_for(milliseconds(2));
    CHECK(reader.answer == "value");
    readers.source.result = std::string("newer");
    CHECK(readers.read_now("a", readers.source.load()) == "newer");
    CHECK(readers.read_now("a", readers.source.load()) == "newer");
    CHECK(readers.source.asked == 2);
}

TEST_CASE("values loaded together do not expire together", "[read_through]") {
    Readers readers;
    std::vector<std::string> keys;
    for (int i = 0; i < 100; ++i)
        keys.push_back("k" + std::to_string(i));
    for (const auto& key : keys)
        readers.read(key, readers.source.load());
    readers.run();
    std::set<int> steps;  // when how many are left
    int left = 100;
    for (int ms = 0; ms < 1200 && left > 0; ms += 10) {
        left = 0;
        for (const auto& key : keys)
            left += test::run_task(readers.cache->get(key)) ? 1 : 0;
        steps.insert(left);
        if (ms < 900) CHECK(left == 100);
        readers.clock.advance(milliseconds(10));
    }
    CHECK(left == 0);
    CHECK(steps.size() > 5);
}

TEST_CASE("a cache that keeps nothing costs nothing but the load", "[read_through]") {
    class Nothing final : public Cache {
    public:
        Task<std::optional<std::string>> get(std::string_view) override { co_return std::nullopt; }
        Task<void> put(std::string_view, std::string, milliseconds) override { co_return; }
        Task<void> erase(std::string_view) override { co_return; }
    };
    base::VirtualClock clock;
    Nothing nothing;
    ReadThrough through(nothing, clock);
    Source source(clock);
    for (int i = 0; i < 3; ++i)
        CHECK(
            text(test::run_task(through.read("a", ttl, Deadline::never(), source.load()))) ==
            "value"
        );
    CHECK(source.asked == 3);
}
