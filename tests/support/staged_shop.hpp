// A shop with everybody and everything in it that an attack on its public API needs: a caller of
// each role, a product, a paid order with its payment; the API as /openapi.json tells it; for each
// body that the API takes a sample that is accepted; and the question whether it still works.
#pragma once

#include "souk/http.hpp"
#include "souk/json.hpp"
#include "support/process.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace souk::test {

/// One route of the OpenAPI document.
struct Operation {
    http::Method method = http::Method::get;
    std::string pattern;
    std::string name;        // "POST /api/orders"
    std::string permission;  // empty: none needed
    bool signed_in = false;
    bool requires_key = false;
    json::object body;  // the schema; empty when the route takes none
};

struct Caller {
    std::string id;
    std::string email;
    std::string password;
    std::string access_token;
    std::string refresh_token;
};

/// All operations of an OpenAPI document.
std::vector<Operation> operations_of(const json::value& document);

/// What keeps `response` from being a problem document with this status (0: any 4xx) that tells
/// nothing about the shop's insides; empty when nothing does.
std::string faults_of_problem(const http::Response& response, int status = 0);

/// The bytes that come back for `bytes`, as they are, until the server closes or answered once.
std::string exchange_raw(std::uint16_t port, const std::string& bytes);

/// A request's bytes with a body of any kind, for what the client refuses to send.
std::string raw_post(
    const std::string& target, const std::vector<std::string>& header_lines, const std::string& body
);

class StagedShop {
public:
    /// Starts it with limits that do not stand in an attack's way.
    explicit StagedShop(std::vector<std::string> args = {});

    SoukProcess& process() { return process_; }
    const std::vector<Operation>& operations() const { return operations_; }
    const Operation& operation(std::string_view name) const;

    Caller owner;  // of the order
    Caller other;  // another customer
    Caller staff;
    Caller importer;
    Caller admin;
    std::string product_id;
    std::string order_id;  // paid
    std::string payment_id;

    Caller sign_up(const std::string& name);
    /// The same caller in a session of their own.
    Caller sign_in(Caller caller);
    /// Somebody who may call `operation`; null when everyone may.
    const Caller* caller_for(const Operation& operation) const;
    /// With the ids of the things above.
    std::string target_of(const Operation& operation) const;
    /// A body that is accepted, with new unique parts at each call. Throws std::out_of_range for a
    /// route that nobody wrote a sample for.
    json::value sample_body(const Operation& operation);
    /// With a new Idempotency-Key and the current ETag where the route wants them.
    http::Headers headers_for(const Operation& operation, const Caller* caller);
    http::Response send(const Operation& operation, const Caller* caller, const std::string& body);

    /// From now on this must not be found in the log.
    void keep_secret(const std::string& text) { secrets_.push_back(text); }
    /// Registers somebody, orders, waits for the payment, judges the books and reads the log: what
    /// went wrong, or nothing.
    std::string faults_after_attacks();

private:
    Caller seeded(const std::string& role);
    void make_product();
    void make_order();
    std::string place_and_settle(const Caller& buyer);
    std::string unique(std::string_view prefix);

    SoukProcess process_;
    std::vector<Operation> operations_;
    std::vector<std::string> secrets_;
    int count_ = 0;
};

}  // namespace souk::test
