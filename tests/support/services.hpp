// PostgreSQL, Redis and RabbitMQ for tests: real servers from Debian on free loopback ports, with a
// folder of their own, started and stopped by tests/support/services.sh, as `make services` does.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace souk::test {

enum class Server : std::uint8_t { postgres, redis, rabbitmq };

class Services {
public:
    using Environment = std::vector<std::pair<std::string, std::string>>;

    /// Those of this test run: where SOUK_TEST_SERVICES names a folder, the servers that run in it;
    /// else started now and stopped when the program ends. Never kill these. Throws when they
    /// cannot be started: a test that needs them must not pass without them.
    static Services& shared();

    /// Servers of a test's own, to be killed; stopped with the object.
    explicit Services(std::vector<Server> wanted);
    ~Services();
    Services(const Services&) = delete;
    Services& operator=(const Services&) = delete;

    /// A shop's own databases (one a module, empty), key prefix and queue names on these servers:
    /// DATABASE_URL, REDIS_URL, RABBITMQ_URL, SOUK__REDIS__PREFIX, SOUK__RABBITMQ__PREFIX, for the
    /// servers that there are.
    Environment fresh_shop();
    /// An empty schema of its own in a common database, as a libpq URI. Cheap.
    std::string fresh_schema();

    std::string postgres_admin_url() const;  // the superuser, database "postgres"
    std::string redis_url() const;
    std::string rabbitmq_url() const;
    std::uint16_t port(Server server) const;

    /// SIGKILL; returns when the process is gone.
    void kill(Server server);
    /// SIGSTOP: it keeps its connections and says nothing more, until thaw().
    void freeze(Server server);
    void thaw(Server server);
    /// Starts it again, in the same folder on the same port; returns when it answers.
    void start(Server server);

private:
    struct State;
    explicit Services(std::filesystem::path running);
    std::unique_ptr<State> state_;
};

}  // namespace souk::test
