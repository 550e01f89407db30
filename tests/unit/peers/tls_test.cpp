// Mutual TLS between peers, with certificates from a development CA.
#include "http/tls.hpp"

#include "security/dev_ca.hpp"
#include "support.hpp"
#include "support/temp_folder.hpp"

#include <arpa/inet.h>
#include <catch2/catch.hpp>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>

using namespace souk;
using namespace souk::peers;
using namespace souk::peers::test;
using http::Tls;
using http::TlsFiles;

namespace {

constexpr std::chrono::hours year{24 * 365};

/// A CA with certificates for order (the caller), product (the server) and stranger.
class Authority {
public:
    Authority() : Authority({"order", "product", "stranger"}, base::system_clock().now()) {}
    Authority(const std::vector<std::string>& roles, Timestamp when) {
        REQUIRE(security::make_dev_certificates(folder_.path(), roles, when).has_value());
    }
    void add(const std::string& role, Timestamp when) const {
        REQUIRE(security::make_dev_certificates(folder_.path(), {role}, when).has_value());
    }
    TlsFiles files(const std::string& role) const {
        TlsFiles out;
        out.certificate = folder_.path() / (role + ".crt");
        out.key = folder_.path() / (role + ".key");
        out.ca = folder_.path() / "ca.crt";
        return out;
    }
    /// Takes over from `other`, as a volume of secrets is replaced.
    void replace_by(const Authority& other) const {
        for (const auto& file : std::filesystem::directory_iterator(other.folder_.path())) {
            const auto to = folder_.path() / file.path().filename();
            std::filesystem::copy_file(file.path(), to.string() + ".new");
            std::filesystem::rename(to.string() + ".new", to);
        }
    }

private:
    souk::test::TempFolder folder_;
};

class SecureServer {
public:
    explicit SecureServer(const Authority& authority, const std::string& role = "product")
        : edge_(
              PeerCredential::certificate({"order", "gateway"}),
              security::InternalVerifier({gateway_key().public_key()}),
              base::system_clock()
          )
        , server_(options(authority, role), &edge_) {}
    std::string url(const std::string& host = "127.0.0.1") const {
        return "https://" + host + ":" + std::to_string(server_.port());
    }
    std::uint16_t port() const { return server_.port(); }
    Seen& seen() { return server_.seen; }

private:
    static http::ServerOptions options(const Authority& authority, const std::string& role) {
        http::ServerOptions out;
        out.tls = authority.files(role);
        return out;
    }
    PeerEdge edge_;
    PeerServer server_;
};

RemoteOptions as(const Authority& authority, const std::string& role = "order") {
    RemoteOptions out;
    auto tls = Tls::load(authority.files(role), Tls::Side::client, base::system_clock());
    REQUIRE(tls.has_value());
    out.tls = *tls;
    return out;
}

std::string refusal(Caller& caller) {
    auto result = caller.call("echo");
    if (result) return "accepted";
    CHECK(result.error().code == "peer_unavailable");
    return result.error().detail;
}

int connect_to(std::uint16_t port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0);
    return fd;
}

/// How far a client of TLS comes that shows no certificate: what it reads after its request.
std::string ask_without_certificate(std::uint16_t port) {
    SSL_CTX* context = SSL_CTX_new(TLS_client_method());
    const int fd = connect_to(port);
    SSL* ssl = SSL_new(context);
    SSL_set_fd(ssl, fd);
    std::string got;
    char bytes[4096];
    if (SSL_connect(ssl) == 1) {
        const std::string request =
            "POST /internal/shop/api/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
        SSL_write(ssl, request.data(), static_cast<int>(request.size()));
        const int n = SSL_read(ssl, bytes, sizeof bytes);
        if (n > 0) got.assign(bytes, static_cast<std::size_t>(n));
    }
    SSL_free(ssl);
    ::close(fd);
    SSL_CTX_free(context);
    return got;
}

}  // namespace

TEST_CASE("peers call each other over TLS", "[tls]") {
    const Authority authority;
    SecureServer server(authority);
    Caller caller(server.url(), as(authority));
    json::object arguments;
    arguments["text"] = std::string(300'000, 'a');  // many records
    auto echoed = caller.start_call("echo", caller.context(), arguments).get();
    REQUIRE(echoed.has_value());
    CHECK(echoed->get_object() == arguments);
    for (int i = 0; i < 10; ++i)
        CHECK(caller.call("echo").has_value());
    CHECK(server.seen().identity.subject == "system");
    Caller by_name(server.url("localhost"), as(authority));
    CHECK(by_name.call("echo").has_value());
}

TEST_CASE("a peer without a certificate is refused", "[tls]") {
    const Authority authority;
    SecureServer server(authority);
    CHECK(ask_without_certificate(server.port()).empty());
    Caller plain("http://127.0.0.1:" + std::to_string(server.port()));
    CHECK(plain.call("echo").has_error());
    CHECK(server.seen().calls == 0);
}

TEST_CASE("a certificate of another authority is refused", "[tls]") {
    const Authority authority;
    const Authority other;
    SECTION("the caller's") {
        SecureServer server(authority);
        TlsFiles mixed = other.files("order");
        mixed.ca = authority.files("order").ca;  // it believes the server, not the other way round
        RemoteOptions options;
        options.tls = *Tls::load(mixed, Tls::Side::client, base::system_clock());
        Caller caller(server.url(), options);
        CHECK(refusal(caller) != "accepted");
        CHECK(server.seen().calls == 0);
    }
    SECTION("the server's") {
        SecureServer server(other);
        Caller caller(server.url(), as(authority));
        CHECK(refusal(caller).find("certificate") != std::string::npos);
        CHECK(server.seen().calls == 0);
    }
}

TEST_CASE("a certificate for another host is refused", "[tls]") {
    const Authority authority;
    SecureServer server(authority);
    Names names;
    names.set("elsewhere.test", {"127.0.0.1"});
    names.set("product-service", {"127.0.0.1"});
    Caller wrong(server.url("elsewhere.test"), as(authority), &names);
    CHECK(refusal(wrong).find("mismatch") != std::string::npos);
    CHECK(server.seen().calls == 0);
    Caller right(server.url("product-service"), as(authority), &names);
    CHECK(refusal(right) == "accepted");
}

TEST_CASE("a certificate for an unknown role opens nothing", "[tls]") {
    const Authority authority;
    SecureServer server(authority);
    Caller caller(server.url(), as(authority, "stranger"));
    CHECK(refusal(caller) == "shop: answered 403");
    CHECK(server.seen().calls == 0);
}

TEST_CASE("an expired certificate is refused", "[tls]") {
    // One authority, which holds for ten years; order's certificate is a year and a day old.
    const auto now = base::system_clock().now();
    const Authority authority({"order"}, now - year - std::chrono::hours(24));
    authority.add("product", now);
    SECTION("the caller's") {
        SecureServer server(authority, "product");
        Caller caller(server.url(), as(authority, "order"));
        CHECK(refusal(caller) != "accepted");
        CHECK(server.seen().calls == 0);
    }
    SECTION("the server's") {
        SecureServer server(authority, "order");
        Caller caller(server.url(), as(authority, "product"));
        CHECK(refusal(caller).find("expired") != std::string::npos);
    }
}

TEST_CASE("a handshake that never comes holds nobody up", "[tls]") {
    const Authority authority;
    SECTION("the server's") {
        Scripted silent{std::string(Scripted::silence)};
        RemoteOptions options = as(authority);
        options.lane.connect_timeout = milliseconds(30);
        Caller caller("https://127.0.0.1:" + std::to_string(silent.port()), options);
        CHECK(refusal(caller).find("cannot connect") != std::string::npos);
    }
    SECTION("the client's") {
        http::ServerOptions options;
        options.tls = authority.files("product");
        options.limits.header_timeout = milliseconds(30);
        PeerServer server(options);
        const int fd = connect_to(server.port());
        char byte = 0;
        CHECK(::recv(fd, &byte, 1, 0) == 0);  // closed by the server
        ::close(fd);
    }
}

TEST_CASE("certificates rotate without a restart", "[tls]") {
    const Authority authority;
    const Authority successor;
    const Authority bystander;
    bystander.replace_by(authority);  // a copy that stays as it is
    SecureServer server(authority);
    Caller caller(server.url(), as(authority));
    RemoteOptions left_behind = as(bystander);
    left_behind.lane.idle_timeout = milliseconds(1);  // a connection a call
    Caller old(server.url(), left_behind);
    REQUIRE(refusal(caller) == "accepted");
    REQUIRE(refusal(old) == "accepted");

    SECTION("good ones replace the old") {
        authority.replace_by(successor);
        CHECK(eventually([&] {
            std::this_thread::sleep_for(milliseconds(20));
            return refusal(old) != "accepted";
        }));
        // The caller's own were replaced, too: it goes on.
        CHECK(eventually([&] { return refusal(caller) == "accepted"; }));
        Caller fresh(server.url(), as(successor));
        CHECK(refusal(fresh) == "accepted");
    }
    SECTION("bad ones do not") {
        const int before = server.seen().calls;
        std::ofstream(authority.files("product").certificate) << "no certificate";
        // Two looks' time, during which nothing may fail.
        const auto until = std::chrono::steady_clock::now() + milliseconds(2'200);
        while (std::chrono::steady_clock::now() < until) {
            REQUIRE(refusal(old) == "accepted");
            std::this_thread::sleep_for(milliseconds(20));
        }
        CHECK(server.seen().calls > before);
    }
}

TEST_CASE("files that are no certificates are refused at start, with their name", "[tls]") {
    const Authority authority;
    auto& clock = base::system_clock();
    const auto fault = [&](const TlsFiles& files) {
        auto loaded = Tls::load(files, Tls::Side::server, clock);
        REQUIRE(loaded.has_error());
        CHECK(loaded.error().code == "tls");
        return loaded.error().detail;
    };
    TlsFiles files = authority.files("order");
    files.certificate = "absent.crt";
    CHECK(fault(files).find("absent.crt") != std::string::npos);
    files = authority.files("order");
    files.key = authority.files("product").key;  // another's
    CHECK(fault(files).find("product.key") != std::string::npos);
    files = authority.files("order");
    files.ca = files.key;
    CHECK(fault(files).find("order.key") != std::string::npos);
}

namespace {

/// Numbers, so that a byte out of order shows.
struct Numbers final : http::BodyStream {
    Task<Result<std::string>> read() override {
        std::string part = text.substr(at, 50'000);
        at += part.size();
        co_return part;
    }
    static std::string make() {
        std::string out;
        for (int i = 0; out.size() < 3'000'000; ++i)
            out += std::to_string(i);
        return out;
    }
    const std::string text = make();
    std::size_t at = 0;
};

}  // namespace

TEST_CASE("bodies stream both ways at once over one TLS connection", "[tls]") {
    const Authority authority;
    SecureServer server(authority);
    Caller caller(server.url(), as(authority));
    for (int i = 0; i < 3; ++i) {
        auto request = std::make_shared<Outgoing>(http::Method::post, "/api/echo", http::Headers());
        auto body = std::make_shared<Numbers>();
        request->stream = body;
        auto answer = caller.forward(request);
        REQUIRE(answer.has_value());
        CHECK(answer->status == 200);
        REQUIRE(answer->stream != nullptr);
        auto back = caller.read(std::move(answer->stream));
        REQUIRE(back.has_value());
        CHECK((*back == body->text));
    }
}
