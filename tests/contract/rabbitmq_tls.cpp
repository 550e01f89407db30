// The bus over amqps: only a broker whose certificate a known CA signed for that very host is
// spoken to. The broker of the tests has no TLS, so a small front ends it.
#include "contract/rabbitmq_world.hpp"
#include "events/rabbitmq/connection.hpp"
#include "support/temp_folder.hpp"

#include <arpa/inet.h>
#include <catch2/catch.hpp>
#include <fmt/format.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

using namespace souk;
using namespace souk::test;

namespace {

sockaddr_in loopback(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    return address;
}

/// Two CAs, and a certificate for "localhost" of the first.
class Certificates {
public:
    Certificates() {
        for (const char* ca : {"ca", "stranger"})
            openssl(fmt::format(
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
                "-subj '/CN=souk test {0}' -keyout {0}.key -out {0}.crt",
                ca
            ));
        openssl(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/CN=localhost' "
            "-keyout server.key -out server.csr"
        );
        std::ofstream(file("names")) << "subjectAltName=DNS:localhost\n";
        openssl(
            "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 "
            "-extfile names -out server.crt"
        );
    }
    std::filesystem::path file(const std::string& name) const { return folder_.path() / name; }

private:
    void openssl(const std::string& arguments) const {
        const std::string command =
            fmt::format("cd '{}' && openssl {} 2>openssl.log", folder_.path().string(), arguments);
        if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command);
    }
    TempFolder folder_;
};

/// Ends TLS and hands the bytes on to the broker.
class TlsFront {
public:
    TlsFront(const Certificates& certificates, int broker) : broker_(broker) {
        std::signal(SIGPIPE, SIG_IGN);
        SSL_CTX_use_certificate_file(
            context_, certificates.file("server.crt").c_str(), SSL_FILETYPE_PEM
        );
        SSL_CTX_use_PrivateKey_file(
            context_, certificates.file("server.key").c_str(), SSL_FILETYPE_PEM
        );
        listener_ = ::socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in address = loopback(0);
        ::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address);
        socklen_t size = sizeof address;
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
        port_ = ntohs(address.sin_port);
        ::listen(listener_, 16);
        acceptor_ = std::thread([this] { accept_all(); });
    }
    ~TlsFront() {
        ended_ = true;
        ::shutdown(listener_, SHUT_RDWR);
        acceptor_.join();
        for (std::thread& thread : threads_)
            thread.join();
        ::close(listener_);
        SSL_CTX_free(context_);
    }
    TlsFront(const TlsFront&) = delete;
    TlsFront& operator=(const TlsFront&) = delete;
    int port() const { return port_; }

private:
    void accept_all() {
        for (;;) {
            const int client = ::accept(listener_, nullptr, nullptr);
            if (client < 0) return;
            threads_.emplace_back([this, client] { serve(client); });
        }
    }
    void serve(int client) {
        SSL* tls = SSL_new(context_);
        SSL_set_fd(tls, client);
        const int server = ::socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in address = loopback(broker_);
        if (SSL_accept(tls) == 1 &&
            ::connect(server, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0)
            forward(tls, client, server);
        SSL_free(tls);
        ::close(server);
        ::close(client);
    }
    void forward(SSL* tls, int client, int server) {
        std::array<char, 16'384> buffer;
        while (!ended_) {
            std::array<pollfd, 2> both{};
            both[0].fd = client;
            both[1].fd = server;
            both[0].events = both[1].events = POLLIN;
            if (SSL_pending(tls) == 0 && ::poll(both.data(), both.size(), 50) == 0) continue;
            if (SSL_pending(tls) > 0 || both[0].revents != 0) {
                const int got = SSL_read(tls, buffer.data(), buffer.size());
                if (got <= 0 || ::send(server, buffer.data(), got, 0) != got) return;
            }
            if (both[1].revents != 0) {
                const auto got = ::recv(server, buffer.data(), buffer.size(), 0);
                if (got <= 0 || SSL_write(tls, buffer.data(), static_cast<int>(got)) <= 0) return;
            }
        }
    }

    SSL_CTX* context_ = SSL_CTX_new(TLS_server_method());
    const int broker_;
    int listener_ = -1;
    int port_ = 0;
    std::atomic<bool> ended_ = false;
    std::thread acceptor_;
    std::vector<std::thread> threads_;
};

/// Where the next world's bus connects to; a Kind has no state of its own.
struct Target {
    std::string host;
    std::filesystem::path ca;
    int port = 0;
};
Target target;

BusWorld::Kind over_tls() {
    auto kind = rabbitmq_kind();
    kind.make = [](BusWorld& world) {
        const auto broker =
            events::rabbitmq::parse_address(Services::shared().rabbitmq_url()).value();
        auto options = rabbitmq_options(
            world,
            fmt::format(
                "amqps://{}:{}@{}:{}", broker.user, broker.password, target.host, target.port
            )
        );
        options.ca_file = target.ca;
        return events::make_rabbitmq_bus(
            world.io.get_executor(), world.clock, *world.metrics, std::move(options)
        );
    };
    return kind;
}

}  // namespace

TEST_CASE("rabbitmq: over TLS, with a known CA and the right host, only") {
    Certificates certificates;
    TlsFront front(certificates, Services::shared().port(Server::rabbitmq));
    target.port = front.port();
    BusWorld world(over_tls());
    world.publisher("order");
    world.consumer("payment", {"order.placed"});

    target.host = "localhost";
    target.ca = certificates.file("stranger.crt");
    CHECK_THROWS_AS(world.start(), Failure);
    target.ca.clear();  // the system's
    CHECK_THROWS_AS(world.start(), Failure);
    target.ca = certificates.file("ca.crt");
    target.host = "127.0.0.1";  // the certificate names another
    CHECK_THROWS_AS(world.start(), Failure);

    target.host = "localhost";
    world.start();
    world.append_many("order", 2000, 20);  // more than a TLS record holds, both ways
    world.drain();
    CHECK(world.effect_count("payment") == 2000);
    world.stop();
}
