#include "cache/redis/transport.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/write.hpp>

#include <array>

namespace souk::cache {
namespace {

namespace ssl = asio::ssl;
using asio::ip::tcp;
using boost::system::error_code;
using Socket = asio::basic_stream_socket<tcp, Executor>;
using Resolver = asio::ip::basic_resolver<tcp, Executor>;

using Buffer = std::array<char, std::size_t{16} << 10>;

class TcpConnector {
public:
    explicit TcpConnector(const Executor& executor) : resolver_(executor) {}

    Task<error_code> connect(Socket& socket, const RedisAddress& address) {
        error_code error;
        auto token = asio::redirect_error(use_task, error);
        const std::string port = std::to_string(address.port);
        const auto endpoints = co_await resolver_.async_resolve(address.host, port, token);
        if (error) co_return error;
        if (closed_) co_return asio::error::operation_aborted;
        co_await asio::async_connect(socket, endpoints, token);
        if (error) co_return error;
        socket.set_option(tcp::no_delay(true), error);
        socket.set_option(asio::socket_base::keep_alive(true), error);
        co_return error;
    }

    void close(Socket& socket) {
        closed_ = true;
        resolver_.cancel();
        error_code ignored;
        socket.close(ignored);
    }

private:
    Resolver resolver_;
    bool closed_ = false;
};

template <class Stream>
Task<error_code> read_from(Stream& stream, Buffer& into, std::string_view& bytes) {
    error_code error;
    auto token = asio::redirect_error(use_task, error);
    auto buffer = asio::buffer(into);
    const std::size_t size = co_await stream.async_read_some(buffer, token);
    bytes = std::string_view(into.data(), size);
    co_return error;
}

template <class Stream>
Task<error_code> write_to(Stream& stream, const std::string& bytes) {
    error_code error;
    auto token = asio::redirect_error(use_task, error);
    auto buffer = asio::buffer(bytes);
    co_await asio::async_write(stream, buffer, token);
    co_return error;
}

class PlainTransport final : public Transport {
public:
    explicit PlainTransport(const Executor& executor) : connector_(executor), socket_(executor) {}

    Task<error_code> connect(const RedisAddress& address) override {
        return connector_.connect(socket_, address);
    }
    Task<error_code> read(std::string_view& bytes) override {
        return read_from(socket_, buffer_, bytes);
    }
    Task<error_code> write(const std::string& bytes) override { return write_to(socket_, bytes); }
    void close() override { connector_.close(socket_); }

private:
    TcpConnector connector_;
    Socket socket_;
    Buffer buffer_;
};

class TlsTransport final : public Transport {
public:
    TlsTransport(const Executor& executor, ssl::context context)
        : connector_(executor), context_(std::move(context)), stream_(executor, context_) {}

    Task<error_code> connect(const RedisAddress& address) override {
        auto error = co_await connector_.connect(stream_.next_layer(), address);
        if (error) co_return error;
        error_code not_an_address;
        asio::ip::make_address(address.host, not_an_address);
        if (not_an_address) SSL_set_tlsext_host_name(stream_.native_handle(), address.host.c_str());
        stream_.set_verify_callback(ssl::host_name_verification(address.host), error);
        if (error) co_return error;
        auto token = asio::redirect_error(use_task, error);
        co_await stream_.async_handshake(ssl::stream_base::client, token);
        if (error) judge(address);
        co_return error;
    }
    Task<error_code> read(std::string_view& bytes) override {
        return read_from(stream_, buffer_, bytes);
    }
    Task<error_code> write(const std::string& bytes) override { return write_to(stream_, bytes); }
    void close() override { connector_.close(stream_.next_layer()); }
    std::string distrust() const override { return distrust_; }

private:
    void judge(const RedisAddress& address) {
        const long verdict = SSL_get_verify_result(stream_.native_handle());
        if (verdict == X509_V_OK && !has_certificate()) return;
        distrust_ = "the server's certificate does not name " + address.host;
        // What is left when the chain was right and only the look at the name was not.
        if (verdict != X509_V_OK && verdict != X509_V_ERR_UNSPECIFIED)
            distrust_ = std::string("the server's certificate is not trusted: ") +
                        X509_verify_cert_error_string(verdict);
    }

    bool has_certificate() {
        X509* certificate = SSL_get1_peer_certificate(stream_.native_handle());
        X509_free(certificate);
        return certificate != nullptr;
    }

    TcpConnector connector_;
    ssl::context context_;
    ssl::stream<Socket> stream_;
    Buffer buffer_;
    std::string distrust_;
};

Error bad_ca(const std::filesystem::path& file, const error_code& error) {
    return invalid(
        "redis_ca", "cannot use the certificates in " + file.string() + ": " + error.message()
    );
}

}  // namespace

Result<std::unique_ptr<Transport>> make_transport(
    const Executor& executor, const RedisAddress& address, const std::filesystem::path& ca_file
) {
    if (!address.tls) return std::make_unique<PlainTransport>(executor);
    ssl::context context(ssl::context::tls_client);
    error_code error;
    context.set_options(
        ssl::context::default_workarounds | ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1, error
    );
    context.set_verify_mode(ssl::verify_peer, error);
    if (ca_file.empty()) {
        context.set_default_verify_paths(error);
    } else {
        context.load_verify_file(ca_file.string(), error);
    }
    if (error) return bad_ca(ca_file, error);
    return std::make_unique<TlsTransport>(executor, std::move(context));
}

}  // namespace souk::cache
