// How a link connects, says who it is, and reads until the connection ends.
#include "cache/redis/link.hpp"

#include <boost/asio/error.hpp>
#include <fmt/format.h>

#include <charconv>
#include <fstream>
#include <iterator>

namespace souk::cache {
namespace {

constexpr milliseconds shortest_attempt{2000};
constexpr std::size_t max_password = 4096;

Error away(std::string why) {
    return unavailable("redis_away", std::move(why));
}

Error auth(std::string why) {
    return unavailable("redis_auth", std::move(why));
}

std::string no_connection(const RedisAddress& to, const boost::system::error_code& error) {
    const bool late = error == asio::error::operation_aborted;  // by the watch
    const std::string why = late ? "no answer in time" : error.message();
    const std::string_view hint = late && to.tls ? "; does it speak TLS (or redis://)?" : "";
    return fmt::format("no Redis at {}:{}: {}{}", to.host, to.port, why, hint);
}

std::string no_answer(const RedisAddress& to) {
    const std::string_view hint = to.tls ? "" : "; does it want TLS (rediss://)?";
    return fmt::format("what listens at {}:{} does not answer as Redis{}", to.host, to.port, hint);
}

bool speaks_of_rights(const Reply& reply) {
    return reply.is_error("NOAUTH") || reply.is_error("NOPERM") || reply.is_error("WRONGPASS") ||
           reply.is_error("ERR AUTH") || reply.is_error("ERR Client sent AUTH");
}

Error refusal(const RedisAddress& address, std::string_view asked, const Reply& reply) {
    const std::string user = address.user.empty() ? "default" : address.user;
    if (reply.is_error("NOAUTH"))
        return auth("Redis wants a password; set it in redis.url or redis.password_file");
    if (reply.is_error("NOPERM"))
        return auth(fmt::format(
            "the Redis user {} lacks a right ({}); src/cache/README.md lists those it needs",
            user,
            reply.text
        ));
    if (speaks_of_rights(reply))
        return auth(fmt::format(
            "Redis refuses the password of user {}; mend redis.url or redis.password_file", user
        ));
    if (asked == "HELLO" && reply.is_error("ERR unknown command"))
        return unavailable("redis_version", "this Redis is older than 6.0; upgrade it");
    if (asked == "SELECT")
        return unavailable(
            "redis_database",
            fmt::format(
                "Redis has no database {} ({}); mend redis.url", address.database, reply.text
            )
        );
    return away(fmt::format("Redis answers {}: {}", asked, reply.text));
}

}  // namespace

/// Takes the link down however the session ends.
class Link::Session {
public:
    Session(Link& link, const std::shared_ptr<Transport>& transport) : link_(link) {
        link_.parser_ = std::make_unique<ReplyParser>();
        link_.transport_ = transport;
        link_.attempt_ends_ =
            link_.clock_.steady() + std::max(shortest_attempt, link_.options_.timeout);
    }
    ~Session() { link_.go_down(); }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

private:
    Link& link_;
};

Task<std::optional<Error>> Link::session() {
    auto made = make_transport(home_, options_.address, options_.ca_file);
    if (!made) co_return made.error();
    const std::shared_ptr<Transport> transport = std::move(*made);
    Session session(*this, transport);
    const RedisAddress& to = options_.address;
    auto failed = co_await transport->connect(to);
    if (failed && !transport->distrust().empty())
        co_return unavailable("redis_tls", transport->distrust());
    if (failed) co_return away(no_connection(to, failed));
    auto refused = co_await greet(*transport);
    if (refused) co_return refused;
    come_up();
    co_await serve(*transport);
    co_return away(fmt::format("the connection to Redis at {}:{} ended", to.host, to.port));
}

Result<std::string> Link::password() const {
    if (options_.password_file.empty()) return options_.address.password;
    std::ifstream file(options_.password_file, std::ios::binary);
    std::string text(max_password, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(file.gcount()));
    if (file.bad() || text.empty())
        return invalid(
            "redis_password_file",
            "no password can be read from redis.password_file " + options_.password_file.string()
        );
    while (text.ends_with('\n') || text.ends_with('\r'))
        text.pop_back();
    return text;
}

Task<Reply> Link::ask(Transport& transport, std::vector<std::string_view> words) {
    const std::string command = format_command(words);
    auto failed = co_await transport.write(command);
    std::string_view bytes;
    while (!failed) {
        if (auto reply = parser_->next()) co_return std::move(*reply);
        if (parser_->broken()) break;
        failed = co_await transport.read(bytes);
        if (!failed) parser_->feed(bytes);
    }
    co_return Reply();
}

Task<std::optional<Error>> Link::greet(Transport& transport) {
    const RedisAddress& to = options_.address;
    const auto secret = password();
    if (!secret) co_return secret.error();
    // HELLO signs in, names the connection and is itself the test of the version, in one.
    std::vector<std::string_view> words{"HELLO", "2"};
    if (!secret->empty() || !to.user.empty()) {
        words.emplace_back("AUTH");
        words.emplace_back(to.user.empty() ? "default" : std::string_view(to.user));
        words.emplace_back(*secret);
    }
    words.emplace_back("SETNAME");
    words.emplace_back(options_.name);
    std::string_view asked = "HELLO";
    auto reply = co_await ask(transport, std::move(words));
    if (reply.kind == Reply::Kind::array && to.database != 0) {
        asked = "SELECT";
        const std::string number = std::to_string(to.database);
        std::vector<std::string_view> select{"SELECT", number};
        reply = co_await ask(transport, std::move(select));
    }
    if (reply.kind != Reply::Kind::error && reply.kind != Reply::Kind::away) {
        // It may be loading its data, or a replica without its primary.
        asked = options_.channel.empty() ? "PING" : "SUBSCRIBE";
        std::vector<std::string_view> last{asked};
        if (!options_.channel.empty()) last.emplace_back(options_.channel);
        reply = co_await ask(transport, std::move(last));
    }
    if (reply.kind == Reply::Kind::error) co_return refusal(to, asked, reply);
    if (reply.kind == Reply::Kind::away) co_return away(no_answer(to));
    co_return std::nullopt;
}

Task<void> Link::serve(Transport& transport) {
    std::string_view bytes;
    for (;;) {
        while (auto reply = parser_->next())
            if (!dispatch(std::move(*reply))) co_return;
        if (parser_->broken()) co_return;
        auto failed = co_await transport.read(bytes);
        if (failed || closed_) co_return;
        parser_->feed(bytes);
    }
}

}  // namespace souk::cache
