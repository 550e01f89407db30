// A configuration that cannot work: the shop does not start, says what is wrong and how to mend it,
// and never says a password.
#include "support/process.hpp"
#include "support/services.hpp"
#include "support/shop.hpp"

#include <arpa/inet.h>
#include <catch2/catch.hpp>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <thread>

using namespace souk;
using test::Environment;
using test::Services;
using test::SoukProcess;

namespace {

constexpr std::chrono::seconds start_limit{30};

/// What a start that has to fail said.
std::string words_of_failed_start(const Environment& stack, std::vector<std::string> args = {}) {
    SoukProcess shop(stack, std::move(args));
    shop.launch();
    const bool ended = test::eventually(start_limit, [&] { return !shop.running(); });
    INFO(shop.log());
    REQUIRE(ended);
    CHECK(shop.wait() != 0);
    return shop.log();
}

Environment with(Environment stack, const std::string& name, const std::string& value) {
    for (auto& [key, old] : stack)
        if (key == name) {
            old = value;
            return stack;
        }
    stack.emplace_back(name, value);
    return stack;
}

std::string value_of(const Environment& stack, const std::string& name) {
    for (const auto& [key, value] : stack)
        if (key == name) return value;
    throw std::logic_error("no " + name);
}

/// `url` with its first `what` replaced.
std::string replaced(std::string url, const std::string& what, const std::string& with) {
    return url.replace(url.find(what), what.size(), with);
}

std::string password_of(const std::string& url) {
    const std::size_t end = url.rfind('@');
    const std::size_t begin = url.rfind(':', end) + 1;
    return url.substr(begin, end - begin);
}

void check_no_passwords(const Environment& stack, const std::string& words) {
    for (const char* name : {"DATABASE_URL", "REDIS_URL", "RABBITMQ_URL"})
        CHECK(words.find(password_of(value_of(stack, name))) == std::string::npos);
    CHECK(words.find("hunter2") == std::string::npos);
}

/// A port that nobody listens on: bound, so that nobody will meanwhile.
class ClosedPort {
public:
    ClosedPort() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        auto* generic = reinterpret_cast<sockaddr*>(&address);
        REQUIRE(::bind(socket_, generic, size) == 0);
        REQUIRE(::getsockname(socket_, generic, &size) == 0);
        port_ = ntohs(address.sin_port);
    }
    ~ClosedPort() { ::close(socket_); }
    ClosedPort(const ClosedPort&) = delete;
    ClosedPort& operator=(const ClosedPort&) = delete;

    std::string place() const { return "127.0.0.1:" + std::to_string(port_); }

protected:
    int socket_;
    std::uint16_t port_ = 0;
};

/// Says that it is PostgreSQL 12.9 to whoever connects, and nothing else.
class OldPostgres : public ClosedPort {
public:
    OldPostgres() {
        REQUIRE(::listen(socket_, 16) == 0);
        thread_ = std::thread([this] { serve(); });
    }
    ~OldPostgres() {
        ::shutdown(socket_, SHUT_RDWR);
        thread_.join();
    }

private:
    void serve() const {
        for (int peer = 0; (peer = ::accept(socket_, nullptr, nullptr)) >= 0; ::close(peer))
            greet(peer);
    }

    static void greet(int peer) {
        constexpr std::uint32_t ssl = 80877103;
        constexpr std::uint32_t gss = 80877104;
        std::array<std::uint32_t, 2> head{};  // length and code of the first message
        for (;;) {
            if (::recv(peer, head.data(), sizeof head, MSG_WAITALL) != sizeof head) return;
            if (ntohl(head[1]) != ssl && ntohl(head[1]) != gss) break;
            ::send(peer, "N", 1, MSG_NOSIGNAL);
        }
        std::string rest(ntohl(head[0]) - sizeof head, '\0');
        ::recv(peer, rest.data(), rest.size(), MSG_WAITALL);
        using namespace std::string_literals;
        const std::string version = "server_version\0"s + "12.9\0"s;
        std::string answer = "R\0\0\0\x08\0\0\0\0"s;  // logged in
        answer += "S\0\0\0"s + static_cast<char>(version.size() + 4) + version;
        answer += "Z\0\0\0\x05I"s;  // ready
        ::send(peer, answer.data(), answer.size(), MSG_NOSIGNAL);
        std::array<char, 256> more{};
        while (::recv(peer, more.data(), more.size(), 0) > 0) {
        }
    }

    std::thread thread_;
};

/// Too little disk for five databases.
class TinyDisk {
public:
    explicit TinyDisk(std::filesystem::path path) : path_(std::move(path)) {
        std::filesystem::create_directories(path_);
        mounted_ = ::mount("souk", path_.c_str(), "tmpfs", 0, "size=300k") == 0;
    }
    ~TinyDisk() {
        if (mounted_) ::umount2(path_.c_str(), MNT_DETACH);
    }
    TinyDisk(const TinyDisk&) = delete;
    TinyDisk& operator=(const TinyDisk&) = delete;
    bool mounted() const { return mounted_; }

private:
    std::filesystem::path path_;
    bool mounted_ = false;
};

}  // namespace

TEST_CASE("PostgreSQL that cannot be used: the start fails with what to mend") {
    const Environment good = Services::shared().fresh_shop();
    const std::string url = value_of(good, "DATABASE_URL");
    const std::string password = password_of(url);
    const ClosedPort port;
    const std::string closed = port.place();
    const std::string place = url.substr(url.rfind('@') + 1, url.rfind('/') - url.rfind('@') - 1);

    struct Fault {
        std::string url;
        std::vector<std::string> words;
    };
    const auto fault = GENERATE_COPY(
        Fault{replaced(url, place, closed), {closed, "start it"}},
        Fault{replaced(url, password, "hunter2"), {"password", "souk_order", "mend it"}},
        Fault{replaced(url, "souk_{module}", "nobody_{module}"), {"nobody_order", "mend it"}},
        Fault{url + "_lost", {"there is no database", "_order_lost", "CREATE DATABASE"}},
        Fault{replaced(url, "127.0.0.1", "no-such-host.invalid"), {"no-such-host", "mend the url"}}
    );
    const std::string words = words_of_failed_start(with(good, "DATABASE_URL", fault.url));
    INFO(words);
    for (const std::string& word : fault.words)
        CHECK_THAT(words, Catch::Contains(word));
    check_no_passwords(good, words);
}

TEST_CASE("a PostgreSQL that is too old: the start fails with the version it needs") {
    const Environment good = Services::shared().fresh_shop();
    const OldPostgres old;
    const std::string words = words_of_failed_start(
        with(good, "DATABASE_URL", "postgresql://souk:hunter2@" + old.place() + "/souk_{module}")
    );
    INFO(words);
    CHECK_THAT(words, Catch::Contains("is PostgreSQL 12") && Catch::Contains("13 or newer"));
    check_no_passwords(good, words);
}

TEST_CASE("RabbitMQ that cannot be used: the start fails with what to mend") {
    const Environment good = Services::shared().fresh_shop();
    const std::string url = value_of(good, "RABBITMQ_URL");
    const ClosedPort port;
    const std::string closed = port.place();
    const std::string place = url.substr(url.rfind('@') + 1, url.rfind('/') - url.rfind('@') - 1);

    struct Fault {
        std::string url;
        std::vector<std::string> words;
    };
    const auto fault = GENERATE_COPY(
        Fault{replaced(url, place, closed), {closed, "start RabbitMQ there"}},
        Fault{replaced(url, password_of(url), "hunter2"), {"RabbitMQ", "password", "souk"}},
        Fault{replaced(url, "%2F", "lost"), {"RabbitMQ", "lost", "add_vhost"}}
    );
    const std::string words = words_of_failed_start(with(good, "RABBITMQ_URL", fault.url));
    INFO(words);
    for (const std::string& word : fault.words)
        CHECK_THAT(words, Catch::Contains(word));
    check_no_passwords(good, words);
}

TEST_CASE("Redis with a wrong password: the start fails; without Redis the shop is ready") {
    const Environment good = Services::shared().fresh_shop();
    const std::string url = value_of(good, "REDIS_URL");
    const std::string words =
        words_of_failed_start(with(good, "REDIS_URL", replaced(url, password_of(url), "hunter2")));
    INFO(words);
    CHECK_THAT(words, Catch::Contains("Redis") && Catch::Contains("password"));
    check_no_passwords(good, words);

    const ClosedPort closed;
    SoukProcess shop(with(good, "REDIS_URL", "redis://:hunter2@" + closed.place()), {});
    shop.start();
    CHECK(shop.stop() == 0);
    CHECK_THAT(shop.log(), Catch::Contains(closed.place()));
    check_no_passwords(good, shop.log());
}

TEST_CASE("half a configuration is refused before anything is tried") {
    const Environment good = Services::shared().fresh_shop();
    SECTION("one database for all modules") {
        const std::string url = replaced(value_of(good, "DATABASE_URL"), "{module}", "order");
        const std::string words =
            words_of_failed_start(with(good, "DATABASE_URL", replaced(url, "{module}", "order")));
        CHECK_THAT(words, Catch::Contains("put {module} where their names differ"));
        check_no_passwords(good, words);
    }
    SECTION("PostgreSQL without RabbitMQ") {
        const std::string words = words_of_failed_start(with(good, "RABBITMQ_URL", ""));
        CHECK_THAT(words, Catch::Contains("set RABBITMQ_URL"));
    }
    SECTION("RabbitMQ without PostgreSQL, and a wrong Redis, told together") {
        Environment stack = with(good, "DATABASE_URL", "");
        stack = with(stack, "REDIS_URL", "http://:hunter2@127.0.0.1");
        const std::string words = words_of_failed_start(stack);
        CHECK_THAT(words, Catch::Contains("set DATABASE_URL"));
        CHECK_THAT(words, Catch::Contains("redis://"));
        CHECK(words.find("hunter2") == std::string::npos);
    }
}

TEST_CASE("a password that is not percent-encoded is refused, and nothing of it is said") {
    const std::string password = GENERATE(
        as<std::string>(),
        "h@nter/Sekret2",
        "p@Sekret",
        "a/Sekret",
        "a:Sekret",
        "Sekret%zz",
        "a#Sekret",
        "a?Sekret",
        "12?host=Sekret"
    );
    const Environment bad = {
        {"DATABASE_URL", "postgresql://souk:" + password + "@127.0.0.1:1/souk_{module}"},
        {"REDIS_URL", "redis://:" + password + "@127.0.0.1:1"},
        {"RABBITMQ_URL", "amqp://souk:" + password + "@127.0.0.1:1/%2F"}};
    CAPTURE(password);
    const SoukProcess shop(bad, {});
    for (const std::string& words :
         {words_of_failed_start(bad),
          shop.run("doctor", {}).out,
          test::run_souk({"config", "show"}, bad).out}) {
        INFO(words);
        for (const auto& [name, url] : bad)
            CHECK_THAT(words, Catch::Contains(name));
        CHECK_THAT(words, Catch::Contains("percent-encode the password"));
        CHECK_THAT(words, !Catch::Contains("ekret") && !Catch::Contains("nter"));
    }
}

TEST_CASE("a full disk: the start fails and says so") {
    SoukProcess shop(Environment(), {});
    const TinyDisk disk(shop.data());
    if (!disk.mounted()) {
        WARN("SKIPPED: only root may mount a small disk to fill; nothing was tested here");
        return;
    }
    shop.launch();
    const bool ended = test::eventually(start_limit, [&] { return !shop.running(); });
    INFO(shop.log());
    REQUIRE(ended);
    CHECK(shop.wait() != 0);
    CHECK_THAT(shop.log(), Catch::Contains("full"));
    CHECK_THAT(shop.log(), Catch::Contains("space"));
}
