// Bad input through the binary. For every route of /openapi.json that takes a body the cases are
// made from its schema: each member with each wrong type, missing, too large, too small, hostile.
// Whatever comes, the answer is a problem document with the right 4xx that names the member, never
// a 5xx, and nothing of the shop's insides; and the shop still works.
#include "souk/json.hpp"
#include "support/process.hpp"
#include "support/spoiled_body.hpp"
#include "support/staged_shop.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <limits>

using namespace souk;
using test::allows;
using test::Caller;
using test::exchange_raw;
using test::faults_of_problem;
using test::Operation;
using test::raw_post;
using test::SpoiledBody;
using test::StagedShop;

namespace {

// ---- judging an answer

std::string shortened(const std::string& text) {
    return text.size() <= 300 ? text : text.substr(0, 300) + "...";
}

/// What is wrong with the refusal of `body`; nothing when it is a 400 of this code that names the
/// member (when there is one to name).
std::string faults_of_refusal(
    const http::Response& response, std::string_view code, std::string_view pointer = {}
) {
    std::string faults = faults_of_problem(response, 400);
    if (!faults.empty()) return faults;
    const json::value problem = json::parse(response.body).value();
    if (problem.at("code").as_string() != code) return "another code: " + response.body;
    if (pointer.empty()) return {};
    const auto* errors = problem.as_object().if_contains("errors");
    if (errors == nullptr) return "no errors: " + response.body;
    for (const json::value& error : errors->as_array())
        if (error.at("pointer").as_string() == pointer) return {};
    return fmt::format("{} is not named: {}", pointer, response.body);
}

void check_refused(
    const SpoiledBody& target,
    const std::string& body,
    std::string_view code,
    std::string_view pointer = {}
) {
    const auto response = target.send(body);
    INFO(target.operation().name << " " << shortened(body));
    CHECK(faults_of_refusal(response, code, pointer) == "");
}

/// Hostile text is refused in order, or taken.
http::Response check_refused_or_taken(const SpoiledBody& target, const std::string& body) {
    auto response = target.send(body);
    INFO(target.operation().name << " " << shortened(body) << response.body);
    const bool taken = response.status >= 200 && response.status < 300;
    CHECK((taken ? std::string() : faults_of_problem(response)) == "");
    return response;
}

// ---- documents

std::string nested(std::size_t depth, std::string_view open, std::string_view close) {
    std::string out;
    for (std::size_t i = 0; i < depth; ++i)
        out += open;
    for (std::size_t i = 0; i < depth; ++i)
        out += close;
    return out;
}

std::vector<std::string> malformed_documents(const std::string& good) {
    std::string utf16;
    for (char c : good)
        utf16 += std::string(1, c) + '\0';
    std::vector<std::string> out{
        " ",
        "{",
        "}",
        "[",
        "nul",
        "{]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "{'a':1}",
        "{a:1}",
        "{\"a\":01}",
        "{\"a\":+1}",
        "{\"a\":.5}",
        "{\"a\":1.}",
        "{\"a\":0x10}",
        "{\"a\":NaN}",
        "{\"a\":-Infinity}",
        "{\"a\":\"\\x41\"}",
        "{\"a\":\"\t\"}",
        "{\"a\":\"unended",
        "{\"a\":1}/* more */",
        "// more\n{}",
        "\xEF\xBB\xBF" + good,
        utf16,
        std::string("\xFF\xFE") + utf16,
        good + "x",
        good + "{}",
        good + ",",
        good + '\0',
        '\0' + good,
        good.substr(0, good.size() - 1),
        good.substr(0, good.size() / 2),
        nested(33, "[", "]"),
        nested(33, "{\"a\":", "}").insert(33 * 5, "1"),
        nested(100'000, "[", "]"),
        nested(100'000, "{\"a\":", "}").insert(500'000, "1"),
        std::string(100'000, '['),
        std::string(100'000, '9'),
        "{\"a\":1e400}",
        "{\"a\":-1e400}",
        "{\"a\":18446744073709551616}",
        "{\"a\":\"\\u0000\"}",
        "{\"\\u0000\":1}",
        "{\"a\":1,\"a\":1}",
        "{\"a\":1,\"\\u0061\":1}",
        "{\"\xFF\":1}",
    };
    return out;
}

void attack_documents(const SpoiledBody& target) {
    const std::string good = json::serialize(target.sample());
    for (const std::string& body : malformed_documents(good))
        check_refused(target, body, "malformed_json");
    for (const char* body : {"[]", "\"text\"", "1", "true", "null", "[{}]"})
        check_refused(target, body, "validation_failed");
    check_refused(target, nested(32, "[", "]"), "validation_failed");  // JSON of the right depth
    CHECK(faults_of_problem(target.send(""), 400) == "");
}

// ---- members

void attack_types(const SpoiledBody& target, const test::BodyMember& member) {
    constexpr std::array<std::pair<std::string_view, const char*>, 9> values{{
        {"null", "null"},
        {"boolean", "true"},
        {"integer", "1"},
        {"number", "1.5"},
        {"number", "1.0"},
        {"number", "1e2"},
        {"string", "\"text\""},
        {"array", "[]"},
        {"object", "{}"},
    }};
    for (const auto& [type, text] : values)
        if (!allows(*member.schema, type))
            check_refused(
                target, target.with(member.pointer, text), "validation_failed", member.pointer
            );
    if (member.required)
        check_refused(target, target.without(member.pointer), "validation_failed", member.pointer);
    const std::string text = target.text_at(member.pointer);
    const auto name = member.pointer.substr(member.pointer.rfind('/') + 1);
    const std::string twice = fmt::format("{},\"{}\":{}", text, name, text);
    check_refused(target, target.with(member.pointer, twice), "malformed_json");
}

void attack_integer(const SpoiledBody& target, const test::BodyMember& member) {
    using Limits = std::numeric_limits<std::int64_t>;
    const auto min = test::limit_of(*member.schema, "minimum", Limits::min());
    const auto max = test::limit_of(*member.schema, "maximum", Limits::max());
    REQUIRE(min > Limits::min());  // what has no bounds cannot be added up
    REQUIRE(max < (std::int64_t{1} << 53));
    const std::array<std::int64_t, 11> numbers{
        min - 1,
        max + 1,
        0,
        -1,
        (std::int64_t{1} << 31),
        -(std::int64_t{1} << 31),
        (std::int64_t{1} << 32),
        (std::int64_t{1} << 53) + 1,
        -(std::int64_t{1} << 53) - 1,
        Limits::max(),
        Limits::min()};
    for (const auto number : numbers)
        if (number < min || number > max)
            check_refused(
                target,
                target.with(member.pointer, std::to_string(number)),
                "validation_failed",
                member.pointer
            );
    check_refused(
        target,
        target.with(member.pointer, "18446744073709551615"),
        "validation_failed",
        member.pointer
    );
    for (const char* text : {"1e400", "-1e400", "18446744073709551616", "1e", "--1", "1_000"})
        check_refused(target, target.with(member.pointer, text), "malformed_json");
    CHECK(faults_of_problem(target.send(target.with(member.pointer, "\"1\"")), 400) == "");
}

void attack_text_encoding(const SpoiledBody& target, const test::BodyMember& member) {
    const std::vector<std::string> broken{
        "\"a\\u0000b\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800\\u0041\"",
        "\"\\udc00\\ud800\"",
        "\"\xFF\"",
        "\"\xC0\xAF\"",
        "\"\xE0\x80\xAF\"",
        "\"\xED\xA0\x80\"",
        "\"\xF4\x90\x80\x80\"",
        "\"\xE2\x82\"",
        std::string("\"a\0b\"", 5),
        "\"a\nb\"",
        "\"\\q\"",
    };
    for (const std::string& text : broken)
        check_refused(target, target.with(member.pointer, text), "malformed_json");
}

void attack_text_size(const SpoiledBody& target, const test::BodyMember& member) {
    const auto max = static_cast<std::size_t>(test::limit_of(*member.schema, "maxLength", -1));
    REQUIRE(max < 1'000'000);  // every text has a limit
    for (const std::size_t size : {max + 1, std::size_t{512 * 1024}}) {
        const std::string text = '"' + std::string(size, 'a') + '"';
        check_refused(
            target, target.with(member.pointer, text), "validation_failed", member.pointer
        );
    }
    if (test::limit_of(*member.schema, "minLength", 0) > 0)
        check_refused(
            target, target.with(member.pointer, "\"\""), "validation_failed", member.pointer
        );
}

/// What the shop has kept of an accepted request, asked for again: an account or a product.
json::value kept(StagedShop& shop, const http::Response& response) {
    const json::value answer = json::parse(response.body).value();
    boost::json::error_code ec;
    http::Headers headers;
    if (const auto* token = answer.find_pointer("/access_token", ec)) {
        headers.set("Authorization", "Bearer " + std::string(token->as_string()));
        return json::parse(shop.process().get("/api/users/me", headers).body).value();
    }
    const auto* id = answer.find_pointer("/id", ec);
    if (id == nullptr) id = answer.find_pointer("/data/0/id", ec);
    if (id == nullptr || !id->as_string().starts_with("prd_")) return answer;
    const auto target = "/api/products/" + std::string(id->as_string());
    return json::parse(shop.process().get(target).body).value();
}

/// Whether the shop shows the member again; then it must show what was sent.
bool check_kept(
    StagedShop& shop,
    const http::Response& response,
    const std::string& name,
    const json::value& sent
) {
    if (response.status >= 300) return false;
    const json::value now = kept(shop, response);
    const auto* member = now.as_object().if_contains(name);
    if (member == nullptr) return false;
    CHECK(*member == sent);
    return true;
}

/// What would do harm where somebody pastes it into SQL, a mail's head, a log line or a template.
constexpr std::array<std::string_view, 8> hostile_texts{
    "'; DROP TABLE users; DROP TABLE products; --",
    "' OR '1'='1",
    "\"; DELETE FROM stock; --",
    "a' UNION SELECT password_hash FROM users --",
    "$1 :name ?1 @p %s %n {{name}} {{{name}}} ${jndi:ldap://127.0.0.1/x}",
    "a\r\nBcc: victim@example.com\r\n\r\n<script>alert(1)</script>",
    "../../etc/passwd",
    "\xF0\x9F\x92\xA9 \xE2\x80\xAE \xEF\xBF\xBF \x7F",
};

int attack_hostile_text(const SpoiledBody& target, const test::BodyMember& member) {
    const auto name = member.pointer.substr(member.pointer.rfind('/') + 1);
    int count = 0;
    int seen_again = 0;
    for (const std::string_view text : hostile_texts) {
        std::string unique(text);
        if (name == "sku" || name.ends_with("_ref"))
            unique += fmt::format(" {}{}", target.operation().name, ++count);
        const json::value sent(unique);
        if (name == "password") target.shop().keep_secret(unique);
        const auto response = check_refused_or_taken(
            target, target.with_fresh(member.pointer, json::serialize(sent))
        );
        seen_again += check_kept(target.shop(), response, name, sent) ? 1 : 0;
    }
    return seen_again;
}

void attack_member(const SpoiledBody& target, const test::BodyMember& member) {
    attack_types(target, member);
    if (allows(*member.schema, "integer")) attack_integer(target, member);
    if (allows(*member.schema, "string")) {
        attack_text_encoding(target, member);
        attack_text_size(target, member);
        const int seen_again = attack_hostile_text(target, member);
        const bool free_text = member.pointer.ends_with("/name") ||
                               member.pointer.ends_with("/description") ||
                               member.pointer.ends_with("/sku");
        const bool shown = target.operation().pattern != "/api/users/import";
        if (free_text && shown)
            CHECK(seen_again == static_cast<int>(hostile_texts.size()));  // taken, as it is
    }
    if (!allows(*member.schema, "array")) return;
    const auto max = static_cast<std::size_t>(test::limit_of(*member.schema, "maxItems", -1));
    REQUIRE(max < 10'000);
    std::string many = "[{}";
    for (std::size_t i = 0; i < max; ++i)
        many += ",{}";
    for (const std::string& text : {many + "]", std::string("[]")})
        check_refused(
            target, target.with(member.pointer, text), "validation_failed", member.pointer
        );
    for (const char* element : {"[null]", "[1]", "[[]]", "[\"a\"]"})
        check_refused(
            target, target.with(member.pointer, element), "validation_failed", member.pointer + "/0"
        );
}

/// Members that a caller must not set, and names that trip programs.
void attack_unknown_members(const SpoiledBody& target, const test::BodyObject& node) {
    const std::array<const char*, 22> names{
        "role",     "roles",     "price",      "total",      "status",      "user_id",
        "verified", "is_admin",  "admin",      "id",         "customer_id", "created_at",
        "paid",     "balance",   "permission", "placed_at",  "version",     "unit_amount_decimal",
        "",         "__proto__", "~/pointer",  "constructor"};
    for (const char* name : names) {
        if (node.schema->at("properties").as_object().contains(name)) continue;
        json::value body = target.sample();
        body.at_pointer(node.pointer).as_object()[name] = "admin";
        std::string token(name);
        if (token == "~/pointer") token = "~0~1pointer";
        check_refused(
            target, json::serialize(body), "validation_failed", node.pointer + "/" + token
        );
    }
}

void attack_envelope(const SpoiledBody& target) {
    const Operation& operation = target.operation();
    INFO(operation.name);
    const std::string body = json::serialize(target.sample());
    const auto port = target.shop().process().port();
    const std::string path = target.shop().target_of(operation);
    for (const char* type :
         {"text/plain",
          "application/x-www-form-urlencoded",
          "multipart/form-data; boundary=x",
          "application/xml",
          "application/jsonp",
          "application/json; charset=utf-16",
          "json"}) {
        INFO(type);
        auto headers = target.shop().headers_for(operation, target.caller());
        headers.set("Content-Type", type);
        const auto response = test::request(operation.method, port, path, body, headers);
        CHECK(faults_of_problem(response, 415) == "");
    }
    const auto raw = [&](std::vector<std::string> lines, const std::string& sent) {
        for (const auto& [name, value] : target.shop().headers_for(operation, target.caller()))
            lines.push_back(std::string(name).append(": ").append(value));
        std::string bytes = raw_post(path, lines, sent);
        if (operation.method == http::Method::patch) bytes.replace(0, 4, "PATCH");
        return exchange_raw(port, bytes);
    };
    CHECK_THAT(  // no type at all
        raw({fmt::format("Content-Length: {}", body.size())}, body),
        Catch::StartsWith("HTTP/1.1 415")
    );
    // 413 comes before the body does.
    CHECK_THAT(
        raw({"Content-Type: application/json", "Content-Length: 8388609"}, ""),
        Catch::StartsWith("HTTP/1.1 413")
    );
    const bool takes_much =
        operation.name == "POST /api/products/import" || operation.name == "POST /api/users/import";
    if (!takes_much) {
        CHECK_THAT(
            raw({"Content-Type: application/json", "Content-Length: 1048577"}, ""),
            Catch::StartsWith("HTTP/1.1 413")
        );
        std::string chunks;
        const std::string chunk = "8000\r\n" + std::string(0x8000, ' ') + "\r\n";
        for (int i = 0; i < 33; ++i)  // 32 KiB each: one too many
            chunks += chunk;
        CHECK_THAT(
            raw({"Content-Type: application/json", "Transfer-Encoding: chunked"}, chunks),
            Catch::StartsWith("HTTP/1.1 413")
        );
    }
}

void attack_body_of(StagedShop& shop, const Operation& operation) {
    const SpoiledBody target(shop, operation);
    {
        INFO(operation.name << " takes its sample, or the rest proves nothing");
        const auto response = target.send(json::serialize(shop.sample_body(operation)));
        INFO(response.body);
        REQUIRE(response.status / 100 == 2);
    }
    attack_documents(target);
    attack_envelope(target);
    for (const test::BodyObject& node : target.objects())
        attack_unknown_members(target, node);
    for (const test::BodyMember& member : target.members())
        attack_member(target, member);
}

// ---- card numbers

void attack_with_cards(StagedShop& shop) {
    for (const char* name : {"POST /api/orders", "POST /api/orders/import"}) {
        const SpoiledBody target(shop, shop.operation(name));
        for (const char* card :
             {"4111111111111111",
              "4111 1111 1111 1111",
              "4111-1111-1111-1111",
              "tok_4111111111111111",
              "5555555555554444",
              "378282246310005",
              "6011000990139424",
              "x5105105105105100x"}) {
            INFO(name << " " << card);
            shop.keep_secret(card);
            const auto response =
                target.send(target.with_fresh("/payment/token", fmt::format("\"{}\"", card)));
            CHECK(faults_of_problem(response, 422) == "");
            CHECK_THAT(response.body, Catch::Contains("card_number_refused"));
            CHECK_THAT(response.body, !Catch::Contains(card));
        }
    }
}

/// Nobody who was refused left anything behind: what was sold is what was ordered and accepted, and
/// a name full of line ends is one line of the mail.
void check_mails(StagedShop& shop) {
    int mails = 0;
    const auto outbox = shop.process().files("notification");
    for (const auto& entry : std::filesystem::recursive_directory_iterator(outbox)) {
        if (entry.path().extension() != ".eml") continue;
        std::ifstream in(entry.path());
        std::string line;
        ++mails;
        while (std::getline(in, line) && line != "\r" && !line.empty())
            CHECK_FALSE(line.starts_with("Bcc"));
    }
    CHECK(mails > 0);
}

/// Somebody whose very name is an attack buys something, so that it goes all the way to the mail.
void trade_with_hostile_name(StagedShop& shop) {
    const Caller eve = shop.sign_up("Eve\r\nBcc: victim@example.com\r\n\r\n' OR 1=1 --");
    const Operation& place = shop.operation("POST /api/orders");
    CHECK(shop.send(place, &eve, json::serialize(shop.sample_body(place))).status == 201);
}

}  // namespace

TEST_CASE("whatever is sent, the answer is a problem that says what is wrong, and the shop goes on"
) {
    StagedShop shop;
    int bodies = 0;
    for (const Operation& operation : shop.operations()) {
        if (operation.body.empty()) continue;
        ++bodies;
        attack_body_of(shop, operation);
    }
    CHECK(bodies >= 10);
    attack_with_cards(shop);
    trade_with_hostile_name(shop);
    CHECK(shop.faults_after_attacks() == "");
    check_mails(shop);
}
