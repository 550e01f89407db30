// A client's connection on which many short GETs are under way at once (exchanges.hpp). What is
// asked in one turn of the loop leaves in one write, and answers that come together are read
// together: a request costs a fraction of a system call, where one connection each costs four.
#pragma once

#include "http/socket.hpp"
#include "http/tls.hpp"
#include "souk/error.hpp"
#include "souk/http.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace souk::http {

class ResponseReader;

/// On one executor. Held by whoever asks, and by what runs in the background until close().
class SharedConnection : public std::enable_shared_from_this<SharedConnection> {
public:
    /// A request under way; stands in the frame of the coroutine that waits for it.
    class Asked {
    public:
        /// Puts it among those that leave at the end of this turn. Target and fields must be clean;
        /// `more`: lines of fields.
        Asked(
            std::shared_ptr<SharedConnection> on,
            std::string_view target,
            std::string_view host,
            const Headers& headers,
            std::string_view more
        );
        ~Asked();
        Asked(const Asked&) = delete;

        /// Until it is answered, or given up.
        Task<void> wait();
        /// Its answer will be dropped. Wakes who waits, not at once.
        void give_up();
        /// Errors: `unavailable` "ended" (the connection, before this answer), "unshared" (who
        /// answers there knows nothing of numbers), "broken" (by what the peer said). Nothing when
        /// it was given up.
        std::optional<Result<Response>> answer;
        /// Whether the connection was silent since this was asked.
        bool met_silence() const { return on_->heard_ == heard_before_; }

    private:
        friend class SharedConnection;
        struct Wake;
        struct Sleep;
        void finish();
        std::shared_ptr<SharedConnection> on_;
        const std::uint64_t number_;
        const std::uint64_t heard_before_;
        std::unique_ptr<Wake> wake_;
        bool over_ = false;
    };

    explicit SharedConnection(Executor executor);
    ~SharedConnection();

    /// Once. Errors: `unavailable` "connect" with the reason.
    Task<Result<void>> connect(
        Protocol::endpoint to, std::shared_ptr<Tls> tls, std::string server_name
    );
    /// Whether another request may be put on it.
    bool takes_more() const;
    /// Whether it does not only because so many are under way, or so much has not left yet.
    bool is_full() const;
    bool is_open() const { return socket_.is_open(); }
    /// Takes no more; closes when nothing is under way.
    void retire();
    /// All that is under way fails.
    void close();

private:
    Task<void> read_all(std::shared_ptr<SharedConnection> self);
    bool serves() const;
    std::string parse(ResponseReader& reader, bool& whole);
    std::string deliver(ResponseReader& reader);
    void fail_all(const Error& error);
    void flush_later();
    void flush();
    Task<void> flush_rest(std::shared_ptr<SharedConnection> self, std::size_t sent);
    std::size_t write_at_once();

    Executor executor_;
    Socket socket_;
    std::shared_ptr<Tls> certificates_;
    std::unique_ptr<TlsSession> tls_;  // null: plain
    std::vector<Asked*> asked_;
    std::vector<char> in_;  // unread bytes are [begin_, end_)
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    std::string out_;      // to leave with the next write
    std::string leaving_;  // what a write has now
    std::uint64_t last_number_ = 0;
    std::uint64_t heard_ = 0;  // reads that gave something
    bool flushing_ = false;
    bool retired_ = false;
};

}  // namespace souk::http
