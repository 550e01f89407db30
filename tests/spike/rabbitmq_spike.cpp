// A spike, not a driver: events published with confirms and `mandatory` by rabbitmq-c on a thread
// of its own, awaited as one batch by a coroutine, as the relay will do it; to see that the outbox
// port
// ("mark sent after a confirm with no return") fits, and what waiting for each confirm would cost.
//   rabbitmq_spike PORT
#include "base/system_clock.hpp"
#include "souk/blocking.hpp"
#include "souk/events.hpp"

#include <amqp.h>
#include <amqp_tcp_socket.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <fmt/format.h>

#include <cstdlib>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

namespace souk::spike {

constexpr amqp_channel_t channel = 1;
const amqp_bytes_t exchange = amqp_cstring_bytes("souk.spike");
const amqp_bytes_t queue = amqp_cstring_bytes("souk.spike.queue");

void require(bool holds, const char* what) {
    if (!holds) throw std::runtime_error(what);
}

/// What the broker said of one batch.
struct Confirms {
    std::size_t acked = 0;
    std::size_t returned = 0;
};

/// Blocking; used on one thread only.
class Publisher {
public:
    explicit Publisher(int port) : connection_(amqp_new_connection()) {
        amqp_socket_t* socket = amqp_tcp_socket_new(connection_);
        require(amqp_socket_open(socket, "127.0.0.1", port) == 0, "connect");
        const auto login =
            amqp_login(connection_, "/", 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest");
        require(login.reply_type == AMQP_RESPONSE_NORMAL, "login");
        amqp_channel_open(connection_, channel);
        amqp_confirm_select(connection_, channel);
        amqp_exchange_declare(
            connection_,
            channel,
            exchange,
            amqp_cstring_bytes("topic"),
            0,
            1,
            0,
            0,
            amqp_empty_table
        );
        amqp_table_entry_t quorum;
        quorum.key = amqp_cstring_bytes("x-queue-type");
        quorum.value.kind = AMQP_FIELD_KIND_UTF8;
        quorum.value.value.bytes = amqp_cstring_bytes("quorum");
        amqp_table_t arguments;
        arguments.num_entries = 1;
        arguments.entries = &quorum;
        amqp_queue_declare(connection_, channel, queue, 0, 1, 0, 0, arguments);
        amqp_queue_bind(
            connection_, channel, queue, exchange, amqp_cstring_bytes("order.*"), amqp_empty_table
        );
        require(amqp_get_rpc_reply(connection_).reply_type == AMQP_RESPONSE_NORMAL, "declare");
    }
    ~Publisher() { amqp_destroy_connection(connection_); }
    Publisher(const Publisher&) = delete;
    Publisher& operator=(const Publisher&) = delete;

    /// Publishes all, then waits until every one is confirmed.
    Confirms publish(const std::vector<Event>& batch) {
        std::set<std::uint64_t> open;
        for (const Event& event : batch) {
            amqp_basic_properties_t properties{};
            properties._flags = AMQP_BASIC_DELIVERY_MODE_FLAG;
            properties.delivery_mode = 2;
            const int sent = amqp_basic_publish(
                connection_,
                channel,
                exchange,
                amqp_cstring_bytes(event.type.c_str()),
                1,
                0,
                &properties,
                amqp_cstring_bytes(event.data.c_str())
            );
            require(sent == AMQP_STATUS_OK, "publish");
            open.insert(++tag_);
        }
        Confirms confirms;
        while (!open.empty())
            read_one(open, confirms);
        return confirms;
    }

private:
    void read_one(std::set<std::uint64_t>& open, Confirms& confirms) {
        amqp_frame_t frame;
        require(amqp_simple_wait_frame(connection_, &frame) == AMQP_STATUS_OK, "frame");
        if (frame.frame_type != AMQP_FRAME_METHOD) return;
        if (frame.payload.method.id == AMQP_BASIC_RETURN_METHOD) {
            amqp_message_t message;
            amqp_read_message(connection_, channel, &message, 0);
            amqp_destroy_message(&message);
            ++confirms.returned;
        } else if (frame.payload.method.id == AMQP_BASIC_ACK_METHOD) {
            const auto* ack = static_cast<amqp_basic_ack_t*>(frame.payload.method.decoded);
            const auto last = open.upper_bound(ack->delivery_tag);
            const auto first = ack->multiple ? open.begin() : open.find(ack->delivery_tag);
            confirms.acked += static_cast<std::size_t>(std::distance(first, last));
            open.erase(first, last);
        }
    }

    amqp_connection_state_t connection_;
    std::uint64_t tag_ = 0;
};

Task<double> rate(BlockingPool& thread, Publisher& publisher, std::size_t size, int batches) {
    std::vector<Event> batch;
    for (std::size_t i = 0; i < size; ++i)
        batch.emplace_back("order.placed", "ord_" + std::to_string(i), 1, std::string(300, 'x'));
    const auto start = std::chrono::steady_clock::now();
    std::size_t acked = 0;
    const std::function<void()> job = [&] { acked += publisher.publish(batch).acked; };
    for (int i = 0; i < batches; ++i)
        co_await thread.run(job);
    require(acked == size * static_cast<std::size_t>(batches), "every event confirmed");
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    co_return static_cast<double>(acked) / took.count();
}

Task<void> measure(BlockingPool& thread, int port, asio::io_context& context) {
    Publisher publisher(port);
    for (std::size_t size : {std::size_t{1}, std::size_t{16}, std::size_t{256}}) {
        const double per_s = co_await rate(thread, publisher, size, static_cast<int>(4096 / size));
        fmt::print("{:>4} in flight: {:.0f} confirmed events/s\n", size, per_s);
    }
    Confirms confirms;
    const std::function<void()> stray = [&] {
        std::vector<Event> batch;
        batch.emplace_back("nobody.listens", "x", 1, "{}");
        confirms = publisher.publish(batch);
    };
    co_await thread.run(stray);
    fmt::print(
        "an unroutable event: {} acked and {} returned\n", confirms.acked, confirms.returned
    );
    context.stop();
}

}  // namespace souk::spike

int main(int argc, char** argv) {
    if (argc != 2) {
        fmt::print(stderr, "usage: rabbitmq_spike PORT\n");
        return 2;
    }
    boost::asio::io_context context(1);
    souk::BlockingPool thread("rabbitmq", 1, 16);
    boost::asio::co_spawn(
        context, souk::spike::measure(thread, std::atoi(argv[1]), context), boost::asio::detached
    );
    context.run();
}
