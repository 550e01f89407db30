#include "http/tls.hpp"

#include "souk/log.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/redirect_error.hpp>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <stdexcept>
#include <utility>

namespace souk::http {
namespace {

using boost::system::error_code;

template <auto Free>
struct Freed {
    template <class T>
    void operator()(T* object) const {
        Free(object);
    }
};
using Context = std::unique_ptr<SSL_CTX, Freed<SSL_CTX_free>>;
using Ssl = std::unique_ptr<SSL, Freed<SSL_free>>;

constexpr microseconds look_interval = seconds(1);

Error tls_error(std::string detail) {
    return unavailable("tls", std::move(detail));
}

std::string last_error() {
    const auto code = ERR_peek_last_error();
    const char* reason = ERR_reason_error_string(code);
    return reason != nullptr ? reason : "the other side hung up";
}

// --- what OpenSSL reads from and writes to: memory. One call of the system then takes all records
// that are there, and sends all that a write made; OpenSSL's own would take two a record.

/// What a connection reads at a time until more comes at once.
constexpr std::size_t usual_input = 4 * 1024;
constexpr std::size_t longest_input = 20 * 1024;  // a whole record, and some

struct Wire {
    std::vector<char> in;  // received, not decrypted yet: [begin, end)
    std::size_t begin = 0;
    std::size_t end = 0;
    std::string out;  // encrypted, not sent yet
};

int bio_write(BIO* bio, const char* data, int size) {
    BIO_clear_retry_flags(bio);
    static_cast<Wire*>(BIO_get_data(bio))->out.append(data, static_cast<std::size_t>(size));
    return size;
}

int bio_read(BIO* bio, char* data, int size) {
    BIO_clear_retry_flags(bio);
    auto& wire = *static_cast<Wire*>(BIO_get_data(bio));
    const std::size_t n = std::min(static_cast<std::size_t>(size), wire.end - wire.begin);
    if (n == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    std::memcpy(data, wire.in.data() + wire.begin, n);
    wire.begin += n;
    return static_cast<int>(n);
}

long bio_control(BIO*, int command, long, void*) {
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

const BIO_METHOD* bio_method() {
    static const BIO_METHOD* const method = [] {
        BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "souk wire");
        BIO_meth_set_write(made, &bio_write);
        BIO_meth_set_read(made, &bio_read);
        BIO_meth_set_ctrl(made, &bio_control);
        return made;
    }();
    return method;
}

BIO* make_bio(Wire& wire) {
    BIO* bio = BIO_new(bio_method());
    BIO_set_data(bio, &wire);
    BIO_set_init(bio, 1);
    return bio;
}

// --- files

/// Changes whenever a file is replaced or rewritten.
using Stamp = std::array<std::int64_t, 12>;

Stamp stamp_of(const TlsFiles& files) {
    Stamp stamp{};
    std::size_t i = 0;
    for (const auto* file : {&files.certificate, &files.key, &files.ca}) {
        struct stat about {};
        if (::stat(file->c_str(), &about) == 0) {
            stamp[i] = static_cast<std::int64_t>(about.st_ino);
            stamp[i + 1] = about.st_size;
            stamp[i + 2] = about.st_mtim.tv_sec;
            stamp[i + 3] = about.st_mtim.tv_nsec;
        }
        i += 4;
    }
    return stamp;
}

Error file_error(const std::filesystem::path& file) {
    return tls_error(file.string() + ": " + last_error());
}

void apply_policy(SSL_CTX* context) {
    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
    SSL_CTX_set_mode(
        context,
        SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
            SSL_MODE_RELEASE_BUFFERS
    );
    // No resumption: each connection proves itself by the certificates that hold then.
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context, 0);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    // An encrypted key must be an error, not a question on the terminal.
    SSL_CTX_set_default_passwd_cb(context, [](char*, int, int, void*) { return 0; });
}

Result<Context> make_context(const TlsFiles& files, Tls::Side side) {
    ERR_clear_error();
    const bool server = side == Tls::Side::server;
    Context made(SSL_CTX_new(server ? TLS_server_method() : TLS_client_method()));
    SSL_CTX* context = made.get();
    if (context == nullptr) return tls_error(last_error());
    apply_policy(context);
    if (SSL_CTX_use_certificate_chain_file(context, files.certificate.c_str()) != 1)
        return file_error(files.certificate);
    if (SSL_CTX_use_PrivateKey_file(context, files.key.c_str(), SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(context) != 1)
        return file_error(files.key);
    if (SSL_CTX_load_verify_locations(context, files.ca.c_str(), nullptr) != 1)
        return file_error(files.ca);
    return made;
}

// --- names

std::string text_of(const ASN1_STRING* text) {
    std::string out(
        reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
        static_cast<std::size_t>(ASN1_STRING_length(text))
    );
    // "order\0.evil.example" is nobody's name.
    if (out.find('\0') != std::string::npos) out.clear();
    return out;
}

std::string name_of(const GENERAL_NAME* entry) {
    if (entry->type == GEN_DNS) return text_of(entry->d.dNSName);
    if (entry->type != GEN_URI) return {};
    const auto uri = text_of(entry->d.uniformResourceIdentifier);
    return uri.substr(uri.rfind('/') + 1);
}

}  // namespace

struct TlsSession::Engine {
    Engine(Ssl made, const SSL_CTX* context) : ssl(std::move(made)), context(context) {
        BIO* bio = make_bio(wire);
        SSL_set_bio(ssl.get(), bio, bio);
    }
    Wire wire;  // before `ssl`, which knows it
    Ssl ssl;
    const SSL_CTX* context;
    bool broken = false;
};

TlsSession::TlsSession(Socket& socket, std::unique_ptr<Engine> engine)
    : socket_(socket), engine_(std::move(engine)) {}

TlsSession::~TlsSession() = default;

/// Sends what the socket takes at once. False when the connection is broken.
bool TlsSession::send_at_once() {
    auto& out = engine_->wire.out;
    while (!out.empty() && socket_.is_open()) {
        constexpr int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
        const auto n = ::send(socket_.native_handle(), out.data(), out.size(), flags);
        if (n < 0) return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
        out.erase(0, static_cast<std::size_t>(n));
    }
    if (out.capacity() > 4 * longest_input) std::string().swap(out);
    return socket_.is_open();
}

Task<error_code> TlsSession::flush() {
    error_code ec;
    auto token = asio::redirect_error(use_task, ec);
    for (;;) {
        if (!send_at_once()) {
            engine_->broken = true;
            co_return asio::error::connection_reset;
        }
        if (engine_->wire.out.empty()) co_return error_code();
        co_await socket_.async_wait(Socket::wait_write, token);
        if (ec) co_return ec;
    }
}

/// Waits for bytes of the peer's.
Task<error_code> TlsSession::fill() {
    Wire& wire = engine_->wire;
    const bool filled = !wire.in.empty() && wire.end == wire.in.size();
    if (wire.in.empty() || filled) wire.in.resize(filled ? longest_input : usual_input);
    wire.begin = wire.end = 0;  // OpenSSL has taken all of it
    error_code ec;
    auto token = asio::redirect_error(use_task, ec);
    wire.end = co_await socket_.async_read_some(asio::buffer(wire.in), token);
    if (ec == asio::error::eof) {  // without the peer's word that all was said
        engine_->broken = true;
        ec = asio::error::connection_reset;
    }
    co_return ec;
}

/// What became of an operation of OpenSSL's that did nothing: whether to wait for bytes, or why it
/// never will.
error_code TlsSession::why_not(int done) {
    const int why = SSL_get_error(engine_->ssl.get(), done);
    if (why == SSL_ERROR_WANT_READ) return asio::error::would_block;
    if (why == SSL_ERROR_ZERO_RETURN) return asio::error::eof;
    engine_->broken = true;
    return asio::error::connection_reset;
}

Task<Result<void>> TlsSession::handshake() {
    SSL* ssl = engine_->ssl.get();
    for (;;) {
        ERR_clear_error();
        const int done = SSL_do_handshake(ssl);
        error_code ec;
        if (done != 1) ec = why_not(done);
        const bool waits = ec == asio::error::would_block;
        const std::string reason = last_error();
        const error_code sent = co_await flush();  // an alert, too
        if (done == 1 && !sent) break;
        const long verdict = SSL_get_verify_result(ssl);
        if (verdict != X509_V_OK) co_return tls_error(X509_verify_cert_error_string(verdict));
        if (!waits && done != 1) co_return tls_error(reason);
        if (sent) co_return tls_error(sent.message());
        const error_code filled = co_await fill();
        if (!filled) continue;
        co_return tls_error(engine_->broken ? "the other side hung up" : filled.message());
    }
    read_peer_names();
    co_return Result<void>();
}

Task<Transfer> TlsSession::read_some(asio::mutable_buffer space) {
    for (;;) {
        ERR_clear_error();
        std::size_t size = 0;
        const int done = SSL_read_ex(engine_->ssl.get(), space.data(), space.size(), &size);
        if (done == 1) co_return Transfer(size, error_code());
        error_code ec = why_not(done);
        if (ec == asio::error::would_block) {
            const error_code filled = co_await fill();
            ec = filled;
        }
        if (ec) co_return Transfer(0, ec);
    }
}

std::size_t TlsSession::write_at_once(asio::const_buffer bytes) {
    std::size_t taken = 0;
    while (!engine_->broken && engine_->wire.out.empty() && taken < bytes.size()) {
        taken += encrypt(bytes + taken);
        if (!send_at_once()) engine_->broken = true;
    }
    return taken;
}

/// As many records as one call of the system had better send.
std::size_t TlsSession::encrypt(asio::const_buffer bytes) {
    std::size_t taken = 0;
    while (taken < std::min(bytes.size(), std::size_t{64} * 1024)) {
        ERR_clear_error();
        std::size_t size = 0;
        const asio::const_buffer rest = bytes + taken;
        const int done = SSL_write_ex(engine_->ssl.get(), rest.data(), rest.size(), &size);
        if (done != 1) {
            engine_->broken = true;
            break;
        }
        taken += size;
    }
    return taken;
}

Task<Transfer> TlsSession::write_some(asio::const_buffer bytes) {
    std::size_t taken = 0;
    if (!engine_->broken && bytes.size() > 0) taken = encrypt(bytes);
    if (engine_->broken) co_return Transfer(0, asio::error::connection_reset);
    const error_code ec = co_await flush();
    co_return Transfer(taken, ec);
}

bool TlsSession::has_unsent() const {
    return !engine_->wire.out.empty();
}

bool TlsSession::has_input() const {
    return engine_->wire.begin < engine_->wire.end || SSL_has_pending(engine_->ssl.get()) == 1;
}

void TlsSession::close_notify() {
    // After a fatal error OpenSSL must not be asked again.
    if (engine_->broken || !socket_.is_open()) return;
    ERR_clear_error();
    SSL_shutdown(engine_->ssl.get());
    send_at_once();
}

void TlsSession::read_peer_names() {
    using Names = std::unique_ptr<GENERAL_NAMES, Freed<GENERAL_NAMES_free>>;
    X509* certificate = SSL_get0_peer_certificate(engine_->ssl.get());
    if (certificate == nullptr) return;
    const Names names(static_cast<GENERAL_NAMES*>(
        X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)
    ));
    for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
        auto name = name_of(sk_GENERAL_NAME_value(names.get(), i));
        if (!name.empty()) peer_names_.push_back(std::move(name));
    }
}

struct Tls::State {
    State(TlsFiles files, Side side, Clock& clock)
        : files(std::move(files)), side(side), clock(clock) {}

    /// The newest context, with a reference of the caller's own.
    Context newest() {
        std::lock_guard lock(mutex);
        if (clock.steady() - looked_at >= look_interval) look();
        SSL_CTX_up_ref(context.get());
        return Context(context.get());
    }

    // A few small reads on an I/O thread, when the files have changed: the kernel has them in
    // memory.
    void look() {
        looked_at = clock.steady();
        const Stamp now = stamp_of(files);
        if (now == stamp) return;
        auto fresh = make_context(files, side);
        if (fresh) {
            context = std::move(*fresh);
            current = context.get();
            stamp = now;
            log.info("new TLS certificates", {{"file", files.certificate.string()}});
        } else if (now != bad_stamp) {
            bad_stamp = now;
            log.error(
                "new TLS certificates are bad, the old stay", {{"error", fresh.error().detail}}
            );
        }
    }

    const TlsFiles files;
    const Side side;
    Clock& clock;
    const Logger log{"tls"};
    std::mutex mutex;  // taken once a connection
    Context context;
    std::atomic<const SSL_CTX*> current = nullptr;
    Stamp stamp{};
    Stamp bad_stamp{};
    SteadyTime looked_at{};
};

Tls::Tls(std::unique_ptr<State> state) : state_(std::move(state)) {}
Tls::~Tls() = default;

Result<std::shared_ptr<Tls>> Tls::load(TlsFiles files, Side side, Clock& clock) {
    auto state = std::make_unique<State>(std::move(files), side, clock);
    state->stamp = stamp_of(state->files);
    state->looked_at = clock.steady();
    auto context = make_context(state->files, side);
    if (!context) return context.error();
    state->context = std::move(*context);
    state->current = state->context.get();
    return std::shared_ptr<Tls>(new Tls(std::move(state)));
}

std::unique_ptr<TlsSession> Tls::open(Socket& socket, const std::string& server_name) {
    // OpenSSL takes an empty name for "any".
    if (state_->side == Side::client && server_name.empty())
        throw std::logic_error("a TLS client must know whom it calls");
    const Context context = state_->newest();
    Ssl made(SSL_new(context.get()));
    SSL* ssl = made.get();
    if (state_->side == Side::server) {
        SSL_set_accept_state(ssl);
    } else {
        SSL_set_connect_state(ssl);
        X509_VERIFY_PARAM* expected = SSL_get0_param(ssl);
        error_code ec;
        asio::ip::make_address(server_name, ec);
        const bool is_name = ec.failed();
        if (is_name) {
            X509_VERIFY_PARAM_set1_host(expected, server_name.data(), server_name.size());
            SSL_set_tlsext_host_name(ssl, server_name.c_str());
        } else {
            X509_VERIFY_PARAM_set1_ip_asc(expected, server_name.c_str());
        }
    }
    auto engine = std::make_unique<TlsSession::Engine>(std::move(made), context.get());
    return std::unique_ptr<TlsSession>(new TlsSession(socket, std::move(engine)));
}

bool Tls::is_current(const TlsSession& session) const {
    // The session's SSL holds its context, so no newer one can have its address.
    return session.engine_->context == state_->current.load();
}

}  // namespace souk::http
