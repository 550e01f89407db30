// TLS with a CA of the test's own.
#include "postgres_world.hpp"
#include "support/temp_folder.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace souk::test {
namespace {

void shell(const std::string& command) {
    if (std::system(("(" + command + ") >/dev/null 2>&1").c_str()) != 0)
        throw std::runtime_error(command);
}

/// A server with TLS; its certificate is for "localhost" only.
class TlsServer {
public:
    TlsServer() : services_({Server::postgres}) {
        ::chmod(folder_.path().c_str(), 0711);
        make_certificates();
        Tester admin(services_.postgres_admin_url());
        admin.run(fmt::format("ALTER SYSTEM SET ssl_cert_file = '{}'", path("server.crt")));
        admin.run(fmt::format("ALTER SYSTEM SET ssl_key_file = '{}'", path("server.key")));
        admin.run("ALTER SYSTEM SET ssl = on");
        give_key_to_server(admin.run("SHOW data_directory"));
        admin.run("SELECT pg_reload_conf()");
        REQUIRE(eventually([&] { return Tester(plain()).run("SHOW ssl") == "on"; }));
    }

    std::string path(const std::string& file) const { return (folder_.path() / file).string(); }
    std::string plain() const { return services_.postgres_admin_url(); }
    std::string url(std::string host, const std::string& parameters) const {
        std::string text = plain();
        auto at = text.find('@') + 1;
        text.replace(at, text.find(':', at) - at, host);
        return with(text, parameters);
    }

private:
    void make_certificates() {
        shell(fmt::format(
            "cd {} && openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=souk-test-ca "
            "-keyout ca.key -out ca.crt && openssl req -newkey rsa:2048 -nodes -subj /CN=localhost "
            "-keyout server.key -out server.csr && openssl x509 -req -in server.csr -CA ca.crt "
            "-CAkey ca.key -CAcreateserial -days 2 -out server.crt && openssl req -x509 -newkey "
            "rsa:2048 -nodes -days 2 -subj /CN=another -keyout other.key -out other.crt",
            folder_.path().string()
        ));
        ::chmod(path("server.key").c_str(), 0600);
        ::chmod(path("server.crt").c_str(), 0644);
    }
    /// The server insists that the key is its own.
    void give_key_to_server(const std::string& data_folder) const {
        struct stat owner {};
        REQUIRE(::stat(data_folder.c_str(), &owner) == 0);
        REQUIRE(::chown(path("server.key").c_str(), owner.st_uid, owner.st_gid) == 0);
    }

    TempFolder folder_;
    Services services_;
};

constexpr Statement encrypted{
    "test.encrypted", "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"};

Result<std::string> open_and_ask(const std::string& url) {
    auto options = options_with(1);
    options.url = url;
    auto metrics = observe::make_metrics();
    Home home;
    auto opened =
        run_task(database::open_postgres(options, home.executor(), base::system_clock(), *metrics));
    if (!opened) return opened.error();
    auto rows = read(**opened, encrypted);
    if (!rows) return rows.error();
    return std::string((*rows)[0].boolean(0) ? "encrypted" : "plain");
}

}  // namespace

TEST_CASE("postgres: TLS as sslmode says") {
    TlsServer server;
    const std::string ca = "&sslrootcert=" + server.path("ca.crt");
    CHECK(open_and_ask(server.url("localhost", "sslmode=disable")).value() == "plain");
    CHECK(open_and_ask(server.url("localhost", "sslmode=require")).value() == "encrypted");
    CHECK(open_and_ask(server.url("localhost", "sslmode=verify-full" + ca)).value() == "encrypted");
    CHECK(open_and_ask(server.url("127.0.0.1", "sslmode=verify-ca" + ca)).value() == "encrypted");

    auto other_host = open_and_ask(server.url("127.0.0.1", "sslmode=verify-full" + ca));
    REQUIRE_FALSE(other_host);
    CHECK_THAT(other_host.error().detail, Catch::Contains("for another host"));

    std::string other_ca = "&sslrootcert=" + server.path("other.crt");
    auto unknown = open_and_ask(server.url("localhost", "sslmode=verify-full" + other_ca));
    REQUIRE_FALSE(unknown);
    CHECK_THAT(unknown.error().detail, Catch::Contains("certificate"));

    auto no_ca = open_and_ask(server.url("localhost", "sslmode=verify-full&sslrootcert=/nowhere"));
    REQUIRE_FALSE(no_ca);
    CHECK_THAT(no_ca.error().detail, Catch::Contains("sslrootcert"));
}

}  // namespace souk::test
