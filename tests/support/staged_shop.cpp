#include "support/staged_shop.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <chrono>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <thread>

namespace souk::test {
namespace {

constexpr std::chrono::seconds payment_limit{20};
constexpr std::chrono::milliseconds look_again{10};

http::Method method_named(std::string_view lower) {
    using http::Method;
    for (Method method :
         {Method::get, Method::head, Method::post, Method::put, Method::patch, Method::delete_}) {
        std::string name(to_string(method));
        std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) {
            return std::tolower(c);
        });
        if (name == lower) return method;
    }
    throw std::runtime_error("a method unknown to the tests: " + std::string(lower));
}

Operation read_operation(std::string_view method, std::string_view pattern, const json::value& v) {
    Operation out;
    out.method = method_named(method);
    out.pattern = pattern;
    out.name = fmt::format("{} {}", to_string(out.method), pattern);
    const json::object& described = v.as_object();
    if (const auto* security = described.if_contains("security")) {
        out.signed_in = true;
        const json::array& scopes = security->at(0).at("bearer").as_array();
        if (!scopes.empty()) out.permission = scopes[0].as_string();
    }
    if (const auto* parameters = described.if_contains("parameters"))
        for (const json::value& parameter : parameters->as_array())
            out.requires_key |= parameter.at("name").as_string() == "Idempotency-Key";
    if (const auto* body = described.if_contains("requestBody"))
        out.body = body->at("content").at("application/json").at("schema").as_object();
    return out;
}

json::value parse_or_throw(const http::Response& response, int wanted) {
    if (response.status != wanted)
        throw std::runtime_error(
            fmt::format("{} instead of {}: {}", response.status, wanted, response.body)
        );
    auto parsed = json::parse(response.body);
    if (!parsed) throw std::runtime_error("no JSON: " + response.body);
    return std::move(*parsed);
}

std::string text_at(const json::value& v, std::string_view pointer) {
    return std::string(v.at_pointer(pointer).as_string());
}

json::value from_text(const std::string& text) {
    auto parsed = json::parse(text);
    if (!parsed) throw std::logic_error("a sample is no JSON: " + text);
    return std::move(*parsed);
}

/// As a log line in JSON would have it.
std::string escaped(const std::string& text) {
    const std::string quoted = json::serialize(json::value(text));
    return quoted.substr(1, quoted.size() - 2);
}

/// What no answer may tell: where the program lies, what it is made of, what the database said.
std::string leak_in(const std::string& body) {
    constexpr std::array<std::string_view, 12> marks{
        "/modules/",
        "/tmp/",
        "/usr/",
        ".cpp",
        ".hpp",
        "boost::",
        "std::",
        "souk::",
        "near ",
        "sqlite",
        "SQLITE",
        "constraint failed"};
    for (std::string_view mark : marks)
        if (body.find(mark) != std::string::npos) return std::string(mark);
    return {};
}

}  // namespace

std::vector<Operation> operations_of(const json::value& document) {
    std::vector<Operation> out;
    for (const auto& path : document.at("paths").as_object())
        for (const auto& operation : path.value().as_object())
            out.push_back(read_operation(operation.key(), path.key(), operation.value()));
    return out;
}

std::string faults_of_problem(const http::Response& response, int status) {
    std::string faults;
    const auto add = [&](std::string_view fault) { faults += fmt::format("{}; ", fault); };
    const bool right =
        status == 0 ? response.status >= 400 && response.status < 500 : response.status == status;
    if (!right) add(fmt::format("status {} instead of {}", response.status, status));
    if (response.content_type != "application/problem+json")
        add("content type " + response.content_type);
    const auto parsed = json::parse(response.body);
    if (!parsed || !parsed->is_object()) {
        add("no JSON object");
    } else {
        const json::object& body = parsed->get_object();
        const auto has_text = [&](const char* name) {
            const auto* member = body.if_contains(name);
            return member != nullptr && member->is_string() && !member->get_string().empty();
        };
        for (const char* name : {"type", "title", "code", "request_id"})
            if (!has_text(name)) add(fmt::format("no {}", name));
        const auto* retryable = body.if_contains("retryable");
        if (retryable == nullptr || !retryable->is_bool()) add("no retryable");
        const auto* told = body.if_contains("status");
        if (told == nullptr || *told != response.status) add("another status in the body");
    }
    if (const auto leak = leak_in(response.body); !leak.empty()) add("leaks " + leak);
    if (!faults.empty()) faults += response.body.substr(0, 1000);
    return faults;
}

std::string exchange_raw(std::uint16_t port, const std::string& bytes) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval limit{10, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    std::string out;
    if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
        for (std::size_t sent = 0; sent < bytes.size();) {
            const auto n = ::send(fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
            if (n <= 0) break;  // it hung up; what it said before counts
            sent += static_cast<std::size_t>(n);
        }
        std::array<char, 4096> buffer{};
        for (;;) {
            const auto n = ::recv(fd, buffer.data(), buffer.size(), 0);
            if (n <= 0) break;
            out.append(buffer.data(), static_cast<std::size_t>(n));
        }
    }
    ::close(fd);
    return out;
}

std::string raw_post(
    const std::string& target, const std::vector<std::string>& header_lines, const std::string& body
) {
    std::string out = "POST " + target + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
    for (const std::string& line : header_lines)
        out += line + "\r\n";
    return out + "\r\n" + body;
}

StagedShop::StagedShop(std::vector<std::string> args)
    : process_([&args] {
        std::vector<std::string> all;
        for (const char* rate : {"browse", "checkout", "credentials", "import"}) {
            all.emplace_back("--set");
            all.push_back(fmt::format("gateway.{}_per_minute=1000000", rate));
        }
        all.insert(all.end(), args.begin(), args.end());
        return all;
    }()) {
    process_.start();
    operations_ = operations_of(parse_or_throw(process_.get("/openapi.json"), 200));
    owner = sign_up("Olive Owner");
    other = sign_up("Otto Other");
    staff = seeded("staff");
    importer = seeded("importer");
    admin = seeded("admin");
    make_product();
    make_order();
}

std::string StagedShop::unique(std::string_view prefix) {
    return fmt::format("{}{}", prefix, ++count_);
}

const Operation& StagedShop::operation(std::string_view name) const {
    const auto found = std::find_if(operations_.begin(), operations_.end(), [&](const auto& each) {
        return each.name == name;
    });
    if (found == operations_.end()) throw std::out_of_range("no route " + std::string(name));
    return *found;
}

Caller StagedShop::sign_up(const std::string& name) {
    Caller caller;
    caller.email = unique("caller") + "@example.com";
    caller.password = unique("hush-hush-password-");
    json::object body;
    body["email"] = caller.email;
    body["password"] = caller.password;
    body["name"] = name;
    const auto answer =
        parse_or_throw(process_.post("/api/users/register", json::serialize(body)), 201);
    caller.id = text_at(answer, "/user/id");
    caller.access_token = text_at(answer, "/access_token");
    caller.refresh_token = text_at(answer, "/refresh_token");
    for (const auto* secret : {&caller.password, &caller.access_token, &caller.refresh_token})
        keep_secret(*secret);
    return caller;
}

Caller StagedShop::sign_in(Caller caller) {
    json::object body;
    body["email"] = caller.email;
    body["password"] = caller.password;
    const auto answer =
        parse_or_throw(process_.post("/api/users/login", json::serialize(body)), 200);
    caller.id = text_at(answer, "/user/id");
    caller.access_token = text_at(answer, "/access_token");
    caller.refresh_token = text_at(answer, "/refresh_token");
    for (const auto* secret : {&caller.password, &caller.access_token, &caller.refresh_token})
        keep_secret(*secret);
    return caller;
}

Caller StagedShop::seeded(const std::string& role) {
    const auto file = process_.data().parent_path() / (role + ".json");
    Caller caller;
    caller.email = role + "@example.com";
    const auto seed = process_.run(
        "seed", {"--account", caller.email, "--role", role, "--credentials", file.string()}
    );
    if (seed.code != 0) throw std::runtime_error(seed.out);
    std::ifstream in(file);
    const std::string text((std::istreambuf_iterator<char>(in)), {});
    caller.password = text_at(from_text(text), "/password");
    return sign_in(std::move(caller));
}

void StagedShop::make_product() {
    const Operation& add = operation("POST /api/products");
    json::value body = sample_body(add);
    body.as_object()["stock"] = 1'000'000;
    const auto answer = parse_or_throw(send(add, &admin, json::serialize(body)), 201);
    product_id = text_at(answer, "/id");
}

void StagedShop::make_order() {
    order_id = place_and_settle(owner);
    const auto answer = process_.get(
        "/api/payments?order_id=" + order_id, headers_for(operation("GET /api/payments"), &owner)
    );
    payment_id = text_at(parse_or_throw(answer, 200), "/data/0/id");
}

std::string StagedShop::place_and_settle(const Caller& buyer) {
    const Operation& place = operation("POST /api/orders");
    const auto placed =
        parse_or_throw(send(place, &buyer, json::serialize(sample_body(place))), 201);
    const std::string id = text_at(placed, "/id");
    const auto limit = std::chrono::steady_clock::now() + payment_limit;
    for (;;) {
        http::Headers headers = headers_for(operation("GET /api/orders"), &buyer);
        const auto now = parse_or_throw(process_.get("/api/orders/" + id, headers), 200);
        if (text_at(now, "/status") == "paid") return id;
        if (std::chrono::steady_clock::now() > limit)
            throw std::runtime_error("an order does not get paid: " + json::serialize(now));
        std::this_thread::sleep_for(look_again);
    }
}

const Caller* StagedShop::caller_for(const Operation& operation) const {
    if (!operation.permission.empty()) return &admin;
    return operation.signed_in ? &owner : nullptr;
}

std::string StagedShop::target_of(const Operation& operation) const {
    std::string target = operation.pattern;
    const auto parameter = target.find("{id}");
    if (parameter != std::string::npos) {
        const std::string* id = &product_id;
        if (target.starts_with("/api/orders")) id = &order_id;
        if (target.starts_with("/api/payments")) id = &payment_id;
        target.replace(parameter, 4, *id);
    }
    if (operation.name == "GET /api/payments") target += "?order_id=" + order_id;
    if (operation.name == "GET /api/orders/import/summary") target += "?source=attack";
    return target;
}

json::value StagedShop::sample_body(const Operation& operation) {
    const std::string n = unique("");
    const std::string& name = operation.name;
    if (name == "POST /api/users/register")
        return from_text(fmt::format(
            R"({{"email":"s{}@example.com","password":"sample-password-{}","name":"S"}})", n, n
        ));
    if (name == "POST /api/users/login")
        return from_text(
            fmt::format(R"({{"email":"{}","password":"{}"}})", owner.email, owner.password)
        );
    if (name == "POST /api/users/refresh")
        return from_text(fmt::format(R"({{"refresh_token":"{}"}})", sign_in(other).refresh_token));
    if (name == "POST /api/users/import")
        return from_text(fmt::format(
            R"({{"source":"attack","customers":[{{"external_ref":"c{}","name":"C",)"
            R"("email":"c{}@example.com","country":"GB"}}]}})",
            n,
            n
        ));
    if (name == "POST /api/products")
        return from_text(fmt::format(
            R"({{"sku":"P{}","name":"P","description":"D","category":"C","stock":5,)"
            R"("price":{{"amount":250,"currency":"GBP"}}}})",
            n
        ));
    if (name == "PATCH /api/products/{id}")
        return from_text(R"({"name":"P","description":"D","category":"C",)"
                         R"("price":{"amount":250,"currency":"GBP"}})");
    if (name == "POST /api/products/{id}/stock") return from_text(R"({"delta":1})");
    if (name == "POST /api/products/import")
        return from_text(fmt::format(
            R"({{"items":[{{"sku":"I{}","name":"I","description":"D","category":"C",)"
            R"("stock":0,"currency":"GBP","unit_amount_decimal":"12.5"}}]}})",
            n
        ));
    if (name == "POST /api/orders")
        return from_text(fmt::format(
            R"({{"items":[{{"product_id":"{}","quantity":1}}],"payment":{{"token":"tok_approve"}}}})",
            product_id
        ));
    if (name == "POST /api/orders/import")
        return from_text(fmt::format(
            R"({{"source":"attack","external_ref":"o{}","customer_id":"{}",)"
            R"("placed_at":"2011-12-09T12:50:00Z","currency":"GBP","items":[)"
            R"({{"product_id":"{}","quantity":1,"unit_amount_decimal":"0.1"}}],)"
            R"("payment":{{"token":"tok_approve"}}}})",
            n,
            owner.id,
            product_id
        ));
    throw std::out_of_range("no sample of a body for " + name);
}

http::Headers StagedShop::headers_for(const Operation& operation, const Caller* caller) {
    http::Headers headers;
    if (caller != nullptr) headers.set("Authorization", "Bearer " + caller->access_token);
    if (operation.requires_key) headers.set("Idempotency-Key", unique("key-"));
    if (operation.method == http::Method::patch)
        headers.set("If-Match", process_.get(target_of(operation)).headers.get("ETag"));
    return headers;
}

http::Response StagedShop::send(
    const Operation& operation, const Caller* caller, const std::string& body
) {
    return request(
        operation.method,
        process_.port(),
        target_of(operation),
        body,
        headers_for(operation, caller)
    );
}

std::string StagedShop::faults_after_attacks() {
    std::string faults;
    try {
        place_and_settle(sign_up("Late Comer"));
    } catch (const std::exception& e) {
        faults += std::string("no trade any more: ") + e.what() + "; ";
    }
    const auto verified = process_.run("verify", {"--settle", "20"});
    if (verified.code != 0) faults += "the books disagree: " + verified.out + "; ";
    const std::string log = process_.log();
    for (const std::string& secret : secrets_)
        for (const std::string& form : {secret, escaped(secret)})
            if (log.find(form) != std::string::npos) faults += "in the log: " + form + "; ";
    for (const char* failure : {"a handler failed", "admission failed", "\"level\":\"error\""})
        if (log.find(failure) != std::string::npos) faults += std::string("in the log: ") + failure;
    return faults;
}

}  // namespace souk::test
