#include "events/rabbitmq/connection.hpp"

#include "events/rabbitmq/advice.hpp"

#include <amqp.h>
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#include <fmt/format.h>
#include <openssl/ssl.h>
#include <sys/time.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <string_view>
#include <unordered_map>

namespace souk::events::rabbitmq {
namespace {

constexpr int connect_seconds = 5;
constexpr int rpc_seconds = 10;
constexpr int heartbeat_seconds = 10;
constexpr int frame_max = 131'072;
// A broker that is out of memory or disk takes messages and is silent.
constexpr std::chrono::seconds confirm_time{30};

[[noreturn]] void fail(std::string detail) {
    throw Failure(unavailable("rabbitmq", std::move(detail)));
}

amqp_bytes_t bytes(const std::string& text) {
    amqp_bytes_t view;
    view.len = text.size();
    view.bytes = const_cast<char*>(text.data());  // the library only reads
    return view;
}

std::string text(amqp_bytes_t view) {
    return std::string(static_cast<const char*>(view.bytes), view.len);
}

/// The broker's own words for why it closed the channel or the connection.
std::string words(const amqp_method_t& method) {
    if (method.id == AMQP_CHANNEL_CLOSE_METHOD)
        return text(static_cast<const amqp_channel_close_t*>(method.decoded)->reply_text);
    if (method.id == AMQP_CONNECTION_CLOSE_METHOD)
        return text(static_cast<const amqp_connection_close_t*>(method.decoded)->reply_text);
    return fmt::format("unexpected method {:#x}", method.id);
}

std::string words(const amqp_rpc_reply_t& reply) {
    if (reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION) return words(reply.reply);
    if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION)
        return amqp_error_string2(reply.library_error);
    return "the connection was closed";
}

void check(const amqp_rpc_reply_t& reply, std::string_view what) {
    if (reply.reply_type == AMQP_RESPONSE_NORMAL) return;
    fail(fmt::format("{}: {}", what, words(reply)));
}

void check(int status, std::string_view what) {
    if (status != AMQP_STATUS_OK) fail(fmt::format("{}: {}", what, amqp_error_string2(status)));
}

/// Adds to a Failure what an operator can do.
template <class Work>
void advise(const Address& address, Work work) {
    try {
        work();
    } catch (const Failure& failure) {
        const std::string& said = failure.error.detail;
        fail(fmt::format("{}; {}", said, advice(address, said)));
    }
}

timeval from_now(std::chrono::steady_clock::time_point end) {
    auto left = end - std::chrono::steady_clock::now();
    auto us = std::chrono::duration_cast<std::chrono::microseconds>(left).count();
    us = std::max<std::int64_t>(us, 0);
    timeval value{};
    value.tv_sec = static_cast<time_t>(us / 1'000'000);
    value.tv_usec = static_cast<suseconds_t>(us % 1'000'000);
    return value;
}

std::string password_of(const Address& address) {
    if (address.password_file.empty()) return address.password;
    std::ifstream file(address.password_file);
    std::string password;
    if (!std::getline(file, password))
        fail("cannot read the password file " + address.password_file.string());
    return password;
}

/// Keys and values of a message's headers point into `headers`.
std::vector<amqp_table_entry_t> entries_of(const std::vector<Header>& headers) {
    std::vector<amqp_table_entry_t> entries;
    for (const auto& [key, value] : headers) {
        amqp_table_entry_t entry{};
        entry.key = bytes(key);
        entry.value.kind = AMQP_FIELD_KIND_UTF8;
        entry.value.value.bytes = bytes(value);
        entries.push_back(entry);
    }
    return entries;
}

std::vector<amqp_table_entry_t> entries_of(const std::vector<QueueArgument>& arguments) {
    std::vector<amqp_table_entry_t> entries;
    for (const QueueArgument& argument : arguments) {
        amqp_table_entry_t entry{};
        entry.key = bytes(argument.name);
        if (argument.kind == Argument::text) {
            entry.value.kind = AMQP_FIELD_KIND_UTF8;
            entry.value.value.bytes = bytes(argument.text);
        } else if (argument.kind == Argument::number) {
            entry.value.kind = AMQP_FIELD_KIND_I64;
            entry.value.value.i64 = argument.number;
        } else {
            entry.value.kind = AMQP_FIELD_KIND_BOOLEAN;
            entry.value.value.boolean = argument.number != 0 ? 1 : 0;
        }
        entries.push_back(entry);
    }
    return entries;
}

amqp_table_t table(std::vector<amqp_table_entry_t>& entries) {
    amqp_table_t value;
    value.num_entries = static_cast<int>(entries.size());
    value.entries = entries.data();
    return value;
}

Incoming incoming_from(const amqp_message_t& message) {
    Incoming in;
    in.body = text(message.body);
    const amqp_basic_properties_t& properties = message.properties;
    if ((properties._flags & AMQP_BASIC_MESSAGE_ID_FLAG) != 0)
        in.message_id = text(properties.message_id);
    if ((properties._flags & AMQP_BASIC_CONTENT_TYPE_FLAG) != 0)
        in.content_type = text(properties.content_type);
    if ((properties._flags & AMQP_BASIC_HEADERS_FLAG) == 0) return in;
    for (int i = 0; i < properties.headers.num_entries; ++i) {
        const amqp_table_entry_t& entry = properties.headers.entries[i];
        if (entry.value.kind == AMQP_FIELD_KIND_UTF8)
            in.headers.emplace_back(text(entry.key), text(entry.value.value.bytes));
    }
    return in;
}

}  // namespace

std::string Incoming::header(const std::string& name) const {
    for (const auto& [key, value] : headers)
        if (key == name) return value;
    return {};
}

struct Connection::State {
    State() : handle(amqp_new_connection()) {}
    ~State() { amqp_destroy_connection(handle); }
    State(const State&) = delete;
    State& operator=(const State&) = delete;

    void rpc(std::string_view what) const { check(amqp_get_rpc_reply(handle), what); }
    /// After a passive declaration.
    bool found(std::uint16_t channel, const std::string& what) const;
    amqp_socket_t* new_socket(const Address& address) const;
    Incoming read(std::uint16_t channel) const;
    /// What the broker said at the login; empty when it did not.
    std::string version() const;
    /// False when none came in time.
    bool next(amqp_frame_t& frame, std::chrono::steady_clock::time_point end) const;

    amqp_connection_state_t handle;
    std::uint64_t published = 0;  // on the channel with confirms
};

bool Connection::State::found(std::uint16_t channel, const std::string& what) const {
    const amqp_rpc_reply_t reply = amqp_get_rpc_reply(handle);
    const bool closed = reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION &&
                        reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD;
    if (!closed) {
        check(reply, what);
        return true;
    }
    const auto* close = static_cast<const amqp_channel_close_t*>(reply.reply.decoded);
    if (close->reply_code != AMQP_NOT_FOUND) check(reply, what);
    amqp_channel_close_ok_t heard{};
    check(amqp_send_method(handle, channel, AMQP_CHANNEL_CLOSE_OK_METHOD, &heard), what);
    return false;
}

amqp_socket_t* Connection::State::new_socket(const Address& address) const {
    if (!address.tls) return amqp_tcp_socket_new(handle);
    amqp_socket_t* socket = amqp_ssl_socket_new(handle);
    if (socket == nullptr) return socket;
    amqp_ssl_socket_set_verify_peer(socket, 1);
    amqp_ssl_socket_set_verify_hostname(socket, 1);
    amqp_ssl_socket_set_ssl_versions(socket, AMQP_TLSv1_2, AMQP_TLSvLATEST);
    if (address.ca_file.empty()) {
        auto* context = static_cast<SSL_CTX*>(amqp_ssl_socket_get_context(socket));
        SSL_CTX_set_default_verify_paths(context);
    } else {
        check(
            amqp_ssl_socket_set_cacert(socket, address.ca_file.c_str()),
            "cannot read the certificates in " + address.ca_file.string()
        );
    }
    return socket;
}

std::string Connection::State::version() const {
    const amqp_table_t* said = amqp_get_server_properties(handle);
    for (int i = 0; said != nullptr && i < said->num_entries; ++i) {
        const amqp_table_entry_t& entry = said->entries[i];
        const bool is_text = entry.value.kind == AMQP_FIELD_KIND_UTF8;
        if (is_text && text(entry.key) == "version") return text(entry.value.value.bytes);
    }
    return {};
}

bool Connection::State::next(amqp_frame_t& frame, std::chrono::steady_clock::time_point end) const {
    timeval left = from_now(end);
    int status = amqp_simple_wait_frame_noblock(handle, &frame, &left);
    if (status == AMQP_STATUS_TIMEOUT) return false;
    check(status, "the connection to RabbitMQ is lost");
    if (frame.frame_type == AMQP_FRAME_METHOD &&
        (frame.payload.method.id == AMQP_CHANNEL_CLOSE_METHOD ||
         frame.payload.method.id == AMQP_CONNECTION_CLOSE_METHOD))
        fail("RabbitMQ closed the connection: " + words(frame.payload.method));
    return true;
}

/// The content that follows a method. Bounded by the heartbeat.
Incoming Connection::State::read(std::uint16_t channel) const {
    amqp_message_t message;
    check(amqp_read_message(handle, channel, &message, 0), "a message broke off");
    Incoming in = incoming_from(message);
    in.channel = channel;
    amqp_destroy_message(&message);
    return in;
}

Connection::Connection(const Address& address) : state_(std::make_unique<State>()) {
    timeval connect_time{};
    connect_time.tv_sec = connect_seconds;
    amqp_set_handshake_timeout(state_->handle, &connect_time);
    timeval rpc_time{};
    rpc_time.tv_sec = rpc_seconds;
    amqp_set_rpc_timeout(state_->handle, &rpc_time);

    amqp_socket_t* socket = state_->new_socket(address);
    if (socket == nullptr) fail("out of memory");
    std::string where = "cannot connect to RabbitMQ at " + address.text();
    int status =
        amqp_socket_open_noblock(socket, address.host.c_str(), address.port, &connect_time);
    advise(address, [&] { check(status, where); });
    std::string password = password_of(address);
    // Without it the broker says nothing to the consumers of a queue that is deleted.
    const std::string notify = "consumer_cancel_notify";
    const std::string capabilities = "capabilities";
    amqp_table_entry_t capability{};
    capability.key = bytes(notify);
    capability.value.kind = AMQP_FIELD_KIND_BOOLEAN;
    capability.value.value.boolean = 1;
    amqp_table_entry_t property{};
    property.key = bytes(capabilities);
    property.value.kind = AMQP_FIELD_KIND_TABLE;
    property.value.value.table = amqp_table_t{1, &capability};
    const amqp_table_t properties{1, &property};
    amqp_rpc_reply_t login = amqp_login_with_properties(
        state_->handle,
        address.vhost.c_str(),
        0,
        frame_max,
        heartbeat_seconds,
        &properties,
        AMQP_SASL_METHOD_PLAIN,
        address.user.c_str(),
        password.c_str()
    );
    advise(address, [&] {
        check(
            login,
            fmt::format(
                "cannot log in to RabbitMQ at {} as {}, virtual host {}",
                address.text(),
                address.user,
                address.vhost
            )
        );
        std::string fault = version_fault(state_->version());
        if (!fault.empty()) fail(std::move(fault));
    });
}

Connection::~Connection() = default;

int Connection::socket() const {
    return amqp_get_sockfd(state_->handle);
}

void Connection::open_channel(std::uint16_t channel) {
    amqp_channel_open(state_->handle, channel);
    state_->rpc("cannot open a channel");
}

void Connection::close_channel(std::uint16_t channel) {
    check(
        amqp_channel_close(state_->handle, channel, AMQP_REPLY_SUCCESS), "cannot close a channel"
    );
    amqp_maybe_release_buffers(state_->handle);
}

void Connection::declare_exchange(std::uint16_t channel, const std::string& name) {
    static const std::string topic = "topic";
    amqp_exchange_declare(
        state_->handle, channel, bytes(name), bytes(topic), 0, 1, 0, 0, amqp_empty_table
    );
    state_->rpc("cannot declare the exchange " + name);
}

void Connection::delete_exchange(std::uint16_t channel, const std::string& name) {
    amqp_exchange_delete(state_->handle, channel, bytes(name), 0);
    state_->rpc("cannot delete the exchange " + name);
}

bool Connection::exchange_exists(std::uint16_t channel, const std::string& name) {
    amqp_exchange_declare(
        state_->handle, channel, bytes(name), amqp_empty_bytes, 1, 1, 0, 0, amqp_empty_table
    );
    return state_->found(channel, "cannot look at the exchange " + name);
}

bool Connection::queue_exists(std::uint16_t channel, const std::string& name) {
    amqp_queue_declare(state_->handle, channel, bytes(name), 1, 1, 0, 0, amqp_empty_table);
    return state_->found(channel, "cannot look at the queue " + name);
}

void Connection::declare_queue(
    std::uint16_t channel, const std::string& name, const std::vector<QueueArgument>& arguments
) {
    auto entries = entries_of(arguments);
    amqp_queue_declare(state_->handle, channel, bytes(name), 0, 1, 0, 0, table(entries));
    state_->rpc("cannot declare the queue " + name);
}

void Connection::bind(
    std::uint16_t channel,
    const std::string& queue,
    const std::string& exchange,
    const std::string& routing_key
) {
    amqp_queue_bind(
        state_->handle, channel, bytes(queue), bytes(exchange), bytes(routing_key), amqp_empty_table
    );
    state_->rpc("cannot bind the queue " + queue);
}

std::int64_t Connection::ready(std::uint16_t channel, const std::string& queue) {
    const amqp_queue_declare_ok_t* ok =
        amqp_queue_declare(state_->handle, channel, bytes(queue), 1, 1, 0, 0, amqp_empty_table);
    state_->rpc("cannot look at the queue " + queue);
    return ok->message_count;
}

void Connection::select_confirms(std::uint16_t channel) {
    amqp_confirm_select(state_->handle, channel);
    state_->rpc("cannot ask for confirms");
    state_->published = 0;
}

std::vector<Verdict> Connection::publish(
    std::uint16_t channel, const std::vector<Outgoing>& batch
) {
    std::unordered_map<std::string_view, std::size_t> by_id;
    const std::uint64_t before = state_->published;
    for (const Outgoing& message : batch) {
        by_id.emplace(message.message_id, by_id.size());
        auto headers = entries_of(message.headers);
        amqp_basic_properties_t properties{};
        properties._flags = AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG |
                            AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_HEADERS_FLAG;
        properties.delivery_mode = AMQP_DELIVERY_PERSISTENT;
        properties.message_id = bytes(message.message_id);
        properties.content_type = bytes(message.content_type);
        properties.headers = table(headers);
        int sent = amqp_basic_publish(
            state_->handle,
            channel,
            bytes(message.exchange),
            bytes(message.routing_key),
            message.mandatory ? 1 : 0,
            0,
            &properties,
            bytes(message.body)
        );
        check(sent, "cannot publish");
        ++state_->published;
    }

    std::vector<Verdict> verdicts(batch.size(), Verdict::pending);
    std::size_t open = batch.size();
    auto settle = [&](std::uint64_t tag, bool multiple, Verdict verdict) {
        if (tag <= before || tag > before + batch.size()) return;
        std::size_t last = tag - before - 1;
        for (std::size_t i = multiple ? 0 : last; i <= last; ++i) {
            if (verdicts[i] == Verdict::confirmed || verdicts[i] == Verdict::refused) continue;
            if (verdicts[i] == Verdict::pending) verdicts[i] = verdict;
            --open;
        }
    };
    std::vector<std::size_t> returned;
    while (open > 0) {  // a confirm also follows a return
        amqp_frame_t frame;
        if (!state_->next(frame, std::chrono::steady_clock::now() + confirm_time))
            fail("RabbitMQ confirms nothing: is it out of memory or disk?");
        if (frame.frame_type != AMQP_FRAME_METHOD) continue;
        const amqp_method_t& method = frame.payload.method;
        if (method.id == AMQP_BASIC_RETURN_METHOD) {
            Incoming back = state_->read(channel);
            auto found = by_id.find(back.message_id);
            if (found != by_id.end()) returned.push_back(found->second);
        } else if (method.id == AMQP_BASIC_ACK_METHOD) {
            const auto* ack = static_cast<const amqp_basic_ack_t*>(method.decoded);
            settle(ack->delivery_tag, ack->multiple != 0, Verdict::confirmed);
        } else if (method.id == AMQP_BASIC_NACK_METHOD) {
            const auto* nack = static_cast<const amqp_basic_nack_t*>(method.decoded);
            settle(nack->delivery_tag, nack->multiple != 0, Verdict::refused);
        }
    }
    for (std::size_t i : returned)
        verdicts[i] = Verdict::returned;
    amqp_maybe_release_buffers(state_->handle);
    return verdicts;
}

void Connection::consume(std::uint16_t channel, const std::string& queue, std::uint16_t prefetch) {
    amqp_basic_qos(state_->handle, channel, 0, prefetch, 0);
    state_->rpc("cannot set the prefetch");
    amqp_basic_consume(
        state_->handle, channel, bytes(queue), amqp_empty_bytes, 0, 0, 0, amqp_empty_table
    );
    state_->rpc("cannot consume from the queue " + queue);
}

void Connection::acknowledge(std::uint16_t channel, std::uint64_t tag, bool all_before) {
    check(amqp_basic_ack(state_->handle, channel, tag, all_before ? 1 : 0), "cannot acknowledge");
}

std::optional<Incoming> Connection::get(std::uint16_t channel, const std::string& queue) {
    amqp_rpc_reply_t reply = amqp_basic_get(state_->handle, channel, bytes(queue), 0);
    check(reply, "cannot read the queue " + queue);
    if (reply.reply.id == AMQP_BASIC_GET_EMPTY_METHOD) return std::nullopt;
    const auto* ok = static_cast<const amqp_basic_get_ok_t*>(reply.reply.decoded);
    std::uint64_t tag = ok->delivery_tag;
    Incoming in = state_->read(channel);
    in.tag = tag;
    amqp_maybe_release_buffers(state_->handle);
    return in;
}

std::vector<Incoming> Connection::receive() {
    std::vector<Incoming> all;
    amqp_frame_t frame;
    while (state_->next(frame, std::chrono::steady_clock::time_point())) {
        if (frame.frame_type != AMQP_FRAME_METHOD) continue;
        const amqp_method_t& method = frame.payload.method;
        if (method.id == AMQP_BASIC_CANCEL_METHOD)
            fail("RabbitMQ no longer serves a queue: was it deleted?");
        if (method.id != AMQP_BASIC_DELIVER_METHOD) continue;
        std::uint64_t tag = static_cast<const amqp_basic_deliver_t*>(method.decoded)->delivery_tag;
        all.push_back(state_->read(frame.channel));
        all.back().tag = tag;
        amqp_maybe_release_buffers(state_->handle);
    }
    return all;
}

void Connection::close() {
    amqp_connection_close(state_->handle, AMQP_REPLY_SUCCESS);
}

}  // namespace souk::events::rabbitmq
