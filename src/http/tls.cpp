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

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <stdexcept>

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

// --- a socket as OpenSSL sees it. Its own socket BIO uses write(2), which may raise SIGPIPE.

/// -1 once the socket is closed: its number may be somebody else's by then.
int descriptor_of(BIO* bio) {
    auto* socket = static_cast<Socket*>(BIO_get_data(bio));
    return socket->is_open() ? socket->native_handle() : -1;
}

int bio_write(BIO* bio, const char* data, int size) {
    BIO_clear_retry_flags(bio);
    const auto n = ::send(descriptor_of(bio), data, static_cast<std::size_t>(size), MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_write(bio);
    return static_cast<int>(n);
}

int bio_read(BIO* bio, char* data, int size) {
    BIO_clear_retry_flags(bio);
    const auto n = ::recv(descriptor_of(bio), data, static_cast<std::size_t>(size), 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_read(bio);
    return static_cast<int>(n);
}

long bio_control(BIO*, int command, long, void*) {
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

const BIO_METHOD* bio_method() {
    static const BIO_METHOD* const method = [] {
        BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "souk socket");
        BIO_meth_set_write(made, &bio_write);
        BIO_meth_set_read(made, &bio_read);
        BIO_meth_set_ctrl(made, &bio_control);
        return made;
    }();
    return method;
}

BIO* make_bio(Socket& socket) {
    BIO* bio = BIO_new(bio_method());
    BIO_set_data(bio, &socket);
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
    Engine(Ssl ssl, const SSL_CTX* context) : ssl(std::move(ssl)), context(context) {}
    Ssl ssl;
    const SSL_CTX* context;
    bool broken = false;
};

TlsSession::TlsSession(Socket& socket, std::unique_ptr<Engine> engine)
    : socket_(socket), engine_(std::move(engine)) {}

TlsSession::~TlsSession() = default;

/// Repeats `operation`, which is one of OpenSSL's, until it has done something.
template <class Operation>
Task<Transfer> TlsSession::drive(Operation operation) {
    error_code ec;
    auto token = asio::redirect_error(use_task, ec);
    SSL* ssl = engine_->ssl.get();
    for (;;) {
        ERR_clear_error();
        std::size_t size = 0;
        const int done = operation(ssl, size);
        if (done == 1) co_return Transfer(size, error_code());
        const int why = SSL_get_error(ssl, done);
        if (why == SSL_ERROR_WANT_READ) {
            co_await socket_.async_wait(Socket::wait_read, token);
        } else if (why == SSL_ERROR_WANT_WRITE) {
            co_await socket_.async_wait(Socket::wait_write, token);
        } else {
            if (why == SSL_ERROR_ZERO_RETURN) co_return Transfer(0, asio::error::eof);
            engine_->broken = true;
            co_return Transfer(0, asio::error::connection_reset);
        }
        if (ec) co_return Transfer(0, ec);
    }
}

Task<Result<void>> TlsSession::handshake() {
    auto operation = [](SSL* ssl, std::size_t&) { return SSL_do_handshake(ssl); };
    const Transfer done = co_await drive(operation);
    if (done.error) {
        SSL* ssl = engine_->ssl.get();
        const long verdict = SSL_get_verify_result(ssl);
        if (verdict != X509_V_OK) co_return tls_error(X509_verify_cert_error_string(verdict));
        const bool waited = !engine_->broken;
        if (waited) co_return tls_error(done.error.message());
        co_return tls_error(last_error());
    }
    read_peer_names();
    co_return Result<void>();
}

Task<Transfer> TlsSession::read_some(asio::mutable_buffer space) {
    auto operation = [space](SSL* ssl, std::size_t& size) {
        return SSL_read_ex(ssl, space.data(), space.size(), &size);
    };
    return drive(operation);
}

Task<Transfer> TlsSession::write_some(asio::const_buffer bytes) {
    auto operation = [bytes](SSL* ssl, std::size_t& size) {
        return SSL_write_ex(ssl, bytes.data(), bytes.size(), &size);
    };
    return drive(operation);
}

void TlsSession::close_notify() {
    // After a fatal error OpenSSL must not be asked again.
    if (engine_->broken || !socket_.is_open()) return;
    ERR_clear_error();
    SSL_shutdown(engine_->ssl.get());
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
    error_code ec;
    socket.native_non_blocking(true, ec);
    BIO* bio = make_bio(socket);
    SSL_set_bio(ssl, bio, bio);
    if (state_->side == Side::server) {
        SSL_set_accept_state(ssl);
    } else {
        SSL_set_connect_state(ssl);
        X509_VERIFY_PARAM* expected = SSL_get0_param(ssl);
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
