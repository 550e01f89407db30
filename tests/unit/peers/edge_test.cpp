// Who gets through the internal listener and as whom, and what a public one makes of internal
// fields: byte by byte, as no peer of ours would send it.
#include "support.hpp"
#include "support/temp_folder.hpp"

#include <arpa/inet.h>
#include <catch2/catch.hpp>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace souk;
using namespace souk::peers;
using namespace souk::peers::test;

namespace {

const std::string with_key = "Souk-Peer-Key: " + key + "\r\n";

/// The whole answer to one request on a connection of its own.
std::string ask(
    std::uint16_t port,
    std::string_view fields,
    std::string_view line = "POST /internal/shop/api/echo"
) {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0);
    const bool reads = line.starts_with("GET");
    const auto request = fmt::format(
        "{} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{}{}\r\n{}",
        line,
        fields,
        reads ? "" : "Content-Type: application/json\r\nContent-Length: 2\r\n",
        reads ? "" : "{}"
    );
    ::send(fd, request.data(), request.size(), MSG_NOSIGNAL);
    std::string answer;
    char bytes[4096];
    for (ssize_t n = 0; (n = ::recv(fd, bytes, sizeof bytes, 0)) > 0;)
        answer.append(bytes, static_cast<std::size_t>(n));
    ::close(fd);
    return answer;
}

int status_of(std::string_view answer) {
    REQUIRE(answer.size() > 12);
    return std::stoi(std::string(answer.substr(9, 3)));
}

std::string body_of(std::string_view answer) {
    return std::string(answer.substr(answer.find("\r\n\r\n") + 4));
}

std::string identity_field(const std::string& token) {
    return "Souk-Identity: " + token + "\r\n";
}

const Identity admin("usr_1", {"admin"}, "ses_1");

std::string good_token(const security::SigningKeyPair& pair = gateway_key()) {
    return security::issue_internal_token(pair, admin, base::system_clock().now());
}

}  // namespace

TEST_CASE("without the shared key nobody gets in", "[edge]") {
    PeerServer server;
    CHECK(status_of(ask(server.port(), with_key)) == 200);
    const auto fields = GENERATE_COPY(
        as<std::string>{},
        "",
        "Souk-Peer-Key: \r\n",
        "Souk-Peer-Key: the key that all peers sharf\r\n",
        "Souk-Peer-Key: the key that all peers shar\r\n",
        "Souk-Peer-Key: the key that all peers sharee\r\n",
        "Souk-Peer-Key: wrong\r\n" + with_key,
        "Authorization: Bearer " + key + "\r\n",
        identity_field(good_token())
    );
    const auto answer = ask(server.port(), fields);
    CHECK(status_of(answer) == 401);
    CHECK(body_of(answer).find("peer_refused") != std::string::npos);
    CHECK(answer.find("Souk-Admitted") == std::string::npos);
    CHECK(server.seen.calls == 1);
}

TEST_CASE("the shared key comes from a file of its owner's", "[edge]") {
    const souk::test::TempFolder folder;
    const auto file = folder.path() / "peer.key";
    const auto made = load_peer_key(file);
    REQUIRE(made.has_value());
    CHECK(made->size() == 43);  // 32 bytes in base64url
    CHECK(load_peer_key(file).value() == *made);
    std::filesystem::permissions(file, std::filesystem::perms(0644));
    CHECK(load_peer_key(file).error().code == "peer_key");
    CHECK(load_peer_key(file).error().detail.find(file.string()) != std::string::npos);
}

TEST_CASE("a peer's identity is the gateway's word or none", "[edge]") {
    PeerServer server;
    CHECK(status_of(ask(server.port(), with_key + identity_field(good_token()))) == 200);
    CHECK(server.seen.identity.subject == "usr_1");

    auto& clock = base::system_clock();
    const auto stranger = security::SigningKeyPair::generate();
    security::AccessClaims access;
    access.identity = admin;
    access.issued_at = clock.now();
    access.expires_at = clock.now() + seconds(20);
    const auto forged = GENERATE_COPY(
        as<std::string>{},
        good_token(stranger),  // another key
        // Another kind, signed with the gateway's own key: an access token is no identity.
        security::issue_access_token(gateway_key(), access),
        security::issue_internal_token(gateway_key(), admin, clock.now() - seconds(31)),  // expired
        security::issue_internal_token(gateway_key(), admin, clock.now() + seconds(60)),  // early
        good_token() + "x",
        good_token().substr(0, 40),
        "usr_1",
        ""
    );
    const auto answer = ask(server.port(), with_key + identity_field(forged));
    CHECK(status_of(answer) == 401);
    CHECK(body_of(answer).find("peer_refused") != std::string::npos);
    CHECK(server.seen.calls == 1);
    const auto twice = with_key + identity_field(good_token()) + identity_field(forged);
    CHECK(status_of(ask(server.port(), twice)) == 401);
}

TEST_CASE("all refusals of a peer read the same", "[edge]") {
    PeerServer server;
    const auto detail = [](const std::string& answer) {
        const auto body = body_of(answer);
        const auto at = body.find("\"detail\"");
        return body.substr(at, body.find(',', at) - at);
    };
    const auto no_key = detail(ask(server.port(), ""));
    CHECK(no_key == detail(ask(server.port(), with_key + identity_field("x"))));
    CHECK(no_key.find("key") == std::string::npos);
}

TEST_CASE("nobody is signed in on the public API without the gateway's word", "[edge]") {
    PeerServer server;
    const std::string_view line = "GET /api/mine";
    CHECK(status_of(ask(server.port(), with_key, line)) == 401);
    CHECK(server.seen.calls == 0);
    CHECK(status_of(ask(server.port(), with_key + identity_field(good_token()), line)) == 204);
}

TEST_CASE("a caller's deadline holds on the internal listener", "[edge]") {
    PeerServer server;
    CHECK(status_of(ask(server.port(), with_key + "Souk-Deadline-Ms: 700\r\n")) == 200);
    CHECK(server.seen.time_left <= milliseconds(700));
    // The route's own when that is shorter.
    CHECK(status_of(ask(server.port(), with_key + "Souk-Deadline-Ms: 60000\r\n")) == 200);
    CHECK(server.seen.time_left > milliseconds(700));
    CHECK(server.seen.time_left <= milliseconds(2'000));
    const auto late = ask(server.port(), with_key + "Souk-Deadline-Ms: 0\r\n");
    CHECK(status_of(late) == 504);
    CHECK(server.seen.calls == 2);  // it did not run
    for (const auto* bad : {"-1", "1.5", "", "9999999999999", "5 ms"})
        CHECK(status_of(ask(server.port(), with_key + "Souk-Deadline-Ms: " + bad + "\r\n")) == 400);
}

namespace {

/// The least careful edge: believes whatever a request says of itself.
class Credulous final : public http::Edge {
public:
    Task<Result<Identity>> admit(const http::Route&, const http::Request& request, http::Headers&)
        override {
        fields = 0;
        for (const auto& [name, value] : request.headers)
            if (name.size() > 5 && (name[0] == 'S' || name[0] == 's')) ++fields;
        co_return Identity(std::string(request.headers.get("Souk-Identity")), {}, "");
    }
    void finish(const http::Request&, http::Headers&) override {}
    std::atomic<int> fields = 0;
};

}  // namespace

TEST_CASE("a public listener knows no internal fields", "[edge]") {
    Credulous edge;
    auto metrics = observe::make_metrics();
    Seen seen;
    http::Router router;
    router.add("shop", shop_routes(seen));
    Loop loop;
    http::ServerOptions options;
    options.name = "public";
    auto server = http::make_server(
        options, {loop.executor()}, router, &edge, base::system_clock(), *metrics
    );
    REQUIRE(server->listen().has_value());
    const auto fields = identity_field(good_token()) + with_key +
                        "souk-identity: usr_2\r\nSOUK-Deadline-Ms: 1\r\nSouk-Anything: x\r\n"
                        "Souk-Operator: 1\r\n";
    const auto answer = ask(server->port(), fields);
    CHECK(status_of(answer) == 200);
    CHECK(edge.fields == 0);
    CHECK(seen.identity.subject.empty());
    CHECK(seen.time_left > milliseconds(1'000));
    Deadline deadline(base::system_clock(), seconds(1));
    asio::co_spawn(loop.executor(), server->stop(deadline), asio::use_future).get();
}
