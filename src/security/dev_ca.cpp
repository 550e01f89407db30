#include "security/dev_ca.hpp"

#include "security/tokens.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

namespace souk::security {

namespace {

template <auto Free>
struct Freed {
    template <class T>
    void operator()(T* object) const {
        Free(object);
    }
};
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, Freed<X509_EXTENSION_free>>;
using Bio = std::unique_ptr<BIO, Freed<BIO_free_all>>;

constexpr std::chrono::hours leaf_life{24 * 365};
constexpr std::chrono::hours ca_life{24 * 365 * 10};

struct Pair {
    Key key;
    Certificate certificate;
};

Error fault(const std::filesystem::path& file, std::string_view reason) {
    return unavailable("dev_certs", fmt::format("{}: {}", file.string(), reason));
}

std::filesystem::path certificate_file(const std::filesystem::path& folder, std::string_view name) {
    return folder / fmt::format("{}.crt", name);
}

std::filesystem::path key_file(const std::filesystem::path& folder, std::string_view name) {
    return folder / fmt::format("{}.key", name);
}

bool is_there(const std::filesystem::path& file) {
    std::error_code ignored;
    return std::filesystem::exists(file, ignored);
}

std::string text_of(BIO* bio) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    return std::string(data, static_cast<std::size_t>(size));
}

std::string to_pem(EVP_PKEY* key) {
    const Bio bio(BIO_new(BIO_s_mem()));
    PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
    return text_of(bio.get());
}

std::string to_pem(X509* certificate) {
    const Bio bio(BIO_new(BIO_s_mem()));
    PEM_write_bio_X509(bio.get(), certificate);
    return text_of(bio.get());
}

/// Never overwrites.
Result<void> write_new(const std::filesystem::path& file, std::string_view text) {
    const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (descriptor < 0) return fault(file, std::strerror(errno));
    const bool written =
        ::write(descriptor, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    const int reason = errno;
    ::close(descriptor);
    if (!written) return fault(file, std::strerror(reason));
    return {};
}

void set_validity(X509* certificate, Timestamp from, std::chrono::hours life) {
    // A minute early: clocks of containers are not quite one.
    const auto begin = std::chrono::floor<seconds>(from - std::chrono::minutes(1));
    ASN1_TIME_set(X509_getm_notBefore(certificate), begin.time_since_epoch().count());
    ASN1_TIME_set(X509_getm_notAfter(certificate), (begin + life).time_since_epoch().count());
}

void add_extension(X509* certificate, X509* issuer, int kind, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str()));
    X509_add_ext(certificate, extension.get(), -1);
}

/// A certificate for a new key, unsigned.
Pair begin_pair(std::string_view common_name, Timestamp now, std::chrono::hours life) {
    Pair pair{Key(EVP_EC_gen("P-256")), Certificate(X509_new())};
    X509* certificate = pair.certificate.get();
    X509_set_version(certificate, X509_VERSION_3);
    std::uint64_t serial = 0;
    RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial);
    ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial >> 1U);
    set_validity(certificate, now, life);
    X509_set_pubkey(certificate, pair.key.get());
    X509_NAME_add_entry_by_txt(
        X509_get_subject_name(certificate),
        "CN",
        MBSTRING_UTF8,
        reinterpret_cast<const unsigned char*>(common_name.data()),
        static_cast<int>(common_name.size()),
        -1,
        0
    );
    return pair;
}

Pair make_ca(Timestamp now) {
    Pair ca = begin_pair("souk development CA", now, ca_life);
    X509* certificate = ca.certificate.get();
    X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
    add_extension(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
    add_extension(certificate, certificate, NID_key_usage, "critical,keyCertSign,cRLSign");
    add_extension(certificate, certificate, NID_subject_key_identifier, "hash");
    X509_sign(certificate, ca.key.get(), EVP_sha256());
    return ca;
}

Pair make_leaf(const Pair& ca, const std::string& role, Timestamp now) {
    Pair leaf = begin_pair(role, now, leaf_life);
    X509* certificate = leaf.certificate.get();
    X509* issuer = ca.certificate.get();
    X509_set_issuer_name(certificate, X509_get_subject_name(issuer));
    add_extension(certificate, issuer, NID_basic_constraints, "critical,CA:FALSE");
    add_extension(certificate, issuer, NID_key_usage, "critical,digitalSignature");
    add_extension(certificate, issuer, NID_ext_key_usage, "serverAuth,clientAuth");
    add_extension(certificate, issuer, NID_authority_key_identifier, "keyid");
    add_extension(
        certificate,
        issuer,
        NID_subject_alt_name,
        fmt::format("DNS:{0},DNS:{0}-service,DNS:localhost,IP:127.0.0.1,IP:::1", role)
    );
    X509_sign(certificate, ca.key.get(), EVP_sha256());
    return leaf;
}

std::string how_to_renew(std::string_view name) {
    if (name == "ca") return "remove all certificates and keys beside it to have new ones made";
    return "remove it and its key to have new ones made";
}

/// The pair in its two files, whose certificate must hold at `now`.
Result<Pair> read_pair(const std::filesystem::path& folder, std::string_view name, Timestamp now) {
    const auto crt = certificate_file(folder, name);
    const auto key = key_file(folder, name);
    const Bio crt_bio(BIO_new_file(crt.c_str(), "r"));
    const Bio key_bio(BIO_new_file(key.c_str(), "r"));
    Pair pair;
    if (crt_bio)
        pair.certificate.reset(PEM_read_bio_X509(crt_bio.get(), nullptr, nullptr, nullptr));
    if (key_bio) pair.key.reset(PEM_read_bio_PrivateKey(key_bio.get(), nullptr, nullptr, nullptr));
    if (!pair.certificate) return fault(crt, "it is no certificate, or cannot be read");
    if (!pair.key) return fault(key, "it is no private key, or cannot be read");
    if (X509_check_private_key(pair.certificate.get(), pair.key.get()) != 1)
        return fault(key, "it is not the key of the certificate beside it");
    auto at = std::chrono::floor<seconds>(now).time_since_epoch().count();
    if (X509_cmp_time(X509_get0_notAfter(pair.certificate.get()), &at) < 0)
        return fault(crt, "it has expired; " + how_to_renew(name));
    return pair;
}

Result<void> write_pair(
    const std::filesystem::path& folder,
    std::string_view name,
    const Pair& pair,
    std::vector<std::string>& made
) {
    const auto crt = certificate_file(folder, name);
    const auto key = key_file(folder, name);
    auto written = write_new(key, to_pem(pair.key.get()));
    if (written) written = write_new(crt, to_pem(pair.certificate.get()));
    if (!written) return written;
    made.push_back(crt.filename().string());
    made.push_back(key.filename().string());
    return {};
}

/// True when both files of a pair are there, false when none is.
Result<bool> has_pair(const std::filesystem::path& folder, std::string_view name) {
    const auto crt = certificate_file(folder, name);
    const auto key = key_file(folder, name);
    if (is_there(crt) == is_there(key)) return is_there(crt);
    const auto& lonely = is_there(crt) ? crt : key;
    return fault(lonely, "its other half is missing; restore that, or remove this");
}

bool is_role(std::string_view role) {
    constexpr std::string_view allowed = "abcdefghijklmnopqrstuvwxyz0123456789-";
    return !role.empty() && role != "ca" && role.size() <= 50 &&
           role.find_first_not_of(allowed) == std::string_view::npos;
}

Result<Pair> read_or_make_ca(
    const std::filesystem::path& folder, Timestamp now, std::vector<std::string>& made
) {
    const auto there = has_pair(folder, "ca");
    if (!there) return there.error();
    if (*there) return read_pair(folder, "ca", now);
    Pair ca = make_ca(now);
    auto written = write_pair(folder, "ca", ca, made);
    if (!written) return written.error();
    return ca;
}

Result<void> check_or_make_leaf(
    const std::filesystem::path& folder,
    const Pair& ca,
    const std::string& role,
    Timestamp now,
    std::vector<std::string>& made
) {
    const auto there = has_pair(folder, role);
    if (!there) return there.error();
    if (!*there) return write_pair(folder, role, make_leaf(ca, role, now), made);
    auto pair = read_pair(folder, role, now);
    if (!pair) return pair.error();
    if (X509_verify(pair->certificate.get(), ca.key.get()) != 1)
        return fault(
            certificate_file(folder, role),
            "another authority made it, not ca.crt; " + how_to_renew(role)
        );
    return {};
}

}  // namespace

Result<std::vector<std::string>> make_dev_certificates(
    const std::filesystem::path& folder, const std::vector<std::string>& roles, Timestamp now
) {
    for (const auto& role : roles)
        if (!is_role(role)) return fault(folder, fmt::format("\"{}\" is no name for a role", role));
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error) return fault(folder, error.message());
    std::vector<std::string> made;
    auto ca = read_or_make_ca(folder, now, made);
    if (!ca) return ca.error();
    for (const auto& role : roles) {
        auto done = check_or_make_leaf(folder, *ca, role, now, made);
        if (!done) return done.error();
    }
    return made;
}

Result<std::vector<std::string>> make_dev_identity(const std::filesystem::path& folder) {
    const auto key = folder / "identity.key";
    const auto pub = folder / "identity.pub";
    const bool has_key = is_there(key);
    const bool has_pub = is_there(pub);
    if (has_pub && !has_key)
        return fault(pub, "the key of it, identity.key, is missing; restore that, or remove this");
    auto pair = SigningKeyPair::load_or_create(key);
    if (!pair) return pair.error();
    std::vector<std::string> made;
    if (!has_key) made.emplace_back("identity.key");
    if (!has_pub) {
        auto written = write_public_key(pub, pair->public_key());
        if (!written) return written.error();
        made.emplace_back("identity.pub");
        return made;
    }
    const auto known = load_public_keys(pub);
    if (!known) return known.error();
    if (std::find(known->begin(), known->end(), pair->public_key()) == known->end())
        return fault(pub, "it is not of identity.key; remove it to have it made anew");
    return made;
}

}  // namespace souk::security
