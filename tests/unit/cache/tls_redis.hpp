// A Redis that speaks TLS only, with a certificate of a CA made for the occasion.
#pragma once

#include "support/temp_folder.hpp"
#include "unit/cache/redis_console.hpp"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

namespace souk::test {

class TlsRedis {
public:
    /// The certificate is for `names` ("DNS:localhost").
    explicit TlsRedis(const std::string& names) : port_(free_port()) {
        make_ca("ca");
        make_ca("stranger");
        make_certificate(names);
        start();
    }
    ~TlsRedis() {
        ::kill(server_, SIGKILL);
        ::waitpid(server_, nullptr, 0);
    }
    TlsRedis(const TlsRedis&) = delete;
    TlsRedis& operator=(const TlsRedis&) = delete;

    cache::RedisOptions options(const std::string& host, const std::string& ca = "ca") const {
        auto options = RedisReplica::options(fmt::format("rediss://{}:{}", host, port_));
        options.ca_file = file(ca + ".crt");
        return options;
    }
    std::filesystem::path file(const std::string& name) const { return folder_.path() / name; }

private:
    static std::uint16_t free_port() {
        const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        ::bind(socket, reinterpret_cast<sockaddr*>(&address), size);
        ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size);
        ::close(socket);
        return ntohs(address.sin_port);
    }

    void openssl(const std::string& arguments) const {
        const std::string command =
            fmt::format("cd '{}' && openssl {} 2>openssl.log", folder_.path().string(), arguments);
        if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command);
    }
    void make_ca(const std::string& name) const {
        openssl(fmt::format(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
            "-subj '/CN=souk test {0}' -keyout {0}.key -out {0}.crt",
            name
        ));
    }
    void make_certificate(const std::string& names) const {
        openssl(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/CN=redis' "
            "-keyout server.key -out server.csr"
        );
        std::ofstream(file("names")) << "subjectAltName=" << names << '\n';
        openssl(
            "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 "
            "-extfile names -out server.crt"
        );
    }

    void start() {
        std::ofstream(file("redis.conf")) << fmt::format(
            "bind 127.0.0.1\nport 0\ntls-port {0}\ntls-auth-clients no\nsave \"\"\ndir {1}\n"
            "tls-cert-file {1}/server.crt\ntls-key-file {1}/server.key\n"
            "tls-ca-cert-file {1}/ca.crt\nlogfile {1}/log\n",
            port_,
            folder_.path().string()
        );
        const std::string config = file("redis.conf").string();
        const std::string log = file("log").string();
        server_ = ::fork();
        if (server_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            ::execlp("redis-server", "redis-server", config.c_str(), nullptr);
            ::_exit(127);
        }
        RedisReplica::until([&] {
            std::ifstream in(log);
            const std::string text((std::istreambuf_iterator<char>(in)), {});
            if (::waitpid(server_, nullptr, WNOHANG) != 0) throw std::runtime_error(text);
            return text.find("Ready to accept connections") != std::string::npos;
        });
    }

    const TempFolder folder_;
    const std::uint16_t port_;
    pid_t server_ = -1;
};

}  // namespace souk::test
