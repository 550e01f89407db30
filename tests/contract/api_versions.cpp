// Versions of souk that understand each other while an update rolls: what the first version sent
// and answered, kept here for ever. A later caller adds members (api_runners.cpp tries that in all
// suites); here the other side is the older one, and lacks them.
#include "contract/api_world.hpp"

#include <algorithm>
#include <set>

using namespace souk;
using namespace souk::test;

namespace souk::user::client {
http::Routes serve(Api& api, http::Routes routes);
}
namespace souk::product::client {
http::Routes serve(Api& api, http::Routes routes);
}
namespace souk::order::client {
http::Routes serve(Api& api, http::Routes routes);
}
namespace souk::payment::client {
http::Routes serve(Api& api, http::Routes routes);
}

namespace {

/// Answers what it was given.
class Recorded final : public Remote {
public:
    Task<Result<json::value>>
    call(std::string_view method, json::value arguments, const CallContext&) override {
        called = method;
        sent = std::move(arguments);
        co_return answer;
    }
    json::value answer;
    std::string called;
    json::value sent;
};

using Call = std::string (*)(Shop&, void* api);

CallContext ctx(const Shop& shop) {
    return CallContext(Deadline(shop.clock, seconds(5)));
}
template <class Api>
Api& as(void* api) {
    return *static_cast<Api*>(api);
}

template <class Api, http::Routes (*serve)(Api&, http::Routes)>
http::Routes served(void* api) {
    return serve(as<Api>(api), {});
}

struct Record {
    std::string_view method;
    std::string_view arguments;  // as the first version's caller sent them
    std::string_view answer;     // as the first version answered
    std::string_view told;       // what that means
    std::set<std::string> may_lack;
    const ModuleInfo& info;
    http::Routes (*serve)(void* api);
    Call make;
};

/// One for each method.
std::vector<Record> records() {
    std::vector<Record> all;
    all.push_back(Record{
        "get_many",
        R"({"ids":["usr_1"]})",
        R"([{"id":"usr_1","email":"a@b.c","name":"A","role":"staff","created_at":1700000000000001}])",
        "usr_1|a@b.c|A|staff|1700000000000001\n",
        {},
        user::module(),
        &served<user::Api, &user::client::serve>,
        [](Shop& shop, void* api) {
            return told(shop.run(as<user::Api>(api).get_many(ctx(shop), {"usr_1"})));
        }});
    all.push_back(Record{
        "signing_keys",
        "{}",
        R"([{"kid":"k1","public_key":{"base64":"/wA="}}])",
        std::string_view("k1|\xff\0\n", 6),
        {},
        user::module(),
        &served<user::Api, &user::client::serve>,
        [](Shop& shop, void* api) {
            return told(shop.run(as<user::Api>(api).signing_keys(ctx(shop))));
        }});
    all.push_back(Record{
        "revocations",
        R"({"after":7})",
        R"([{"position":8,"session":"ses_8"}])",
        "8|ses_8\n",
        {},
        user::module(),
        &served<user::Api, &user::client::serve>,
        [](Shop& shop, void* api) {
            return told(shop.run(as<user::Api>(api).revocations(ctx(shop), 7)));
        }});
    all.push_back(Record{
        "reserve",
        R"({"order_id":"ord_1","lines":[{"product_id":"prd_1","quantity":2}]})",
        R"([{"product_id":"prd_1","sku":"S","name":"N","unit_price":2550000,"currency":"GBP"}])",
        "prd_1|S|N|2550000|GBP\n",
        {},
        product::module(),
        &served<product::Api, &product::client::serve>,
        [](Shop& shop, void* api) {
            std::vector<product::ReserveLine> lines;
            lines.emplace_back("prd_1", 2);
            return told(shop.run(as<product::Api>(api).reserve(ctx(shop), "ord_1", std::move(lines))
            ));
        }});
    all.push_back(Record{
        "release",
        R"({"order_id":"ord_1"})",
        "null",
        "done",
        {},
        product::module(),
        &served<product::Api, &product::client::serve>,
        [](Shop& shop, void* api) {
            return told(shop.run(as<product::Api>(api).release(ctx(shop), "ord_1")));
        }});
    all.push_back(Record{
        "void_order",
        R"({"order_id":"ord_1"})",
        R"("captured")",
        "outcome 1",
        {},
        payment::module(),
        &served<payment::Api, &payment::client::serve>,
        [](Shop& shop, void* api) {
            return told(shop.run(as<payment::Api>(api).void_order(ctx(shop), "ord_1")));
        }});
    all.push_back(Record{
        "get_many",
        R"({"ids":["ord_1"]})",
        R"([{"id":"ord_1","number":"SO-1","user_id":"usr_1","status":"cancelled",)"
        R"("total":{"amount":510,"currency":"GBP"},"cancel_reason":"by_customer","version":3,)"
        R"("placed_at":1700000000000001,"lines":[{"product_id":"prd_1","sku":"S","name":"N",)"
        R"("quantity":2,"unit_price":2550000,"total":510}]}])",
        "ord_1|SO-1|usr_1|cancelled|by_customer|510|GBP|3|1700000000000001: "
        "prd_1|S|N|2|2550000|510\n\n",
        {"cancel_reason", "version", "placed_at", "lines"},
        order::module(),
        &served<order::Api, &order::client::serve>,
        [](Shop& shop, void* api) {
            return told(shop.run(as<order::Api>(api).get_many(ctx(shop), {"ord_1"})));
        }});
    return all;
}

json::value parsed(std::string_view text) {
    return json::parse(text).value();
}

/// Whether `v` says what `first` said, and perhaps more.
bool has_all_of(const json::value& v, const json::value& first) {
    const auto* members = first.if_object();
    if (members != nullptr && v.is_object())
        return std::all_of(members->begin(), members->end(), [&](const auto& member) {
            const json::value* same = v.get_object().if_contains(member.key());
            return same != nullptr && has_all_of(*same, member.value());
        });
    const auto* list = first.if_array();
    if (list != nullptr && v.is_array())
        return list->size() == v.get_array().size() &&
               std::equal(list->begin(), list->end(), v.get_array().begin(), [](auto& a, auto& b) {
                   return has_all_of(b, a);
               });
    return v == first;
}

/// `visit` gets all of `top` without one member, for each member of each object in it.
template <class Visit>
void without_each_member(json::value& top, json::value& at, const Visit& visit) {
    if (auto* list = at.if_array())
        for (json::value& element : *list)
            without_each_member(top, element, visit);
    auto* object = at.if_object();
    if (object == nullptr) return;
    const json::object whole = *object;
    for (const auto& member : whole) {
        object->erase(member.key());
        visit(std::string(member.key()));
        *object = whole;
        without_each_member(top, object->at(member.key()), visit);
    }
}

}  // namespace

TEST_CASE("versions: what the first one sends and answers is understood for ever") {
    Shop shop;
    for (const Record& record : records()) {
        CAPTURE(record.info.name, record.method);
        Recorded remote;
        remote.answer = parsed(record.answer);
        const auto client = record.info.connect(remote);
        CHECK(record.make(shop, client.get()) == record.told);
        CHECK(remote.called == record.method);
        CHECK(has_all_of(remote.sent, parsed(record.arguments)));
    }
}

TEST_CASE("versions: what a caller of the first one sends is served for ever") {
    Shop shop;
    for (const Record& record : records()) {
        CAPTURE(record.info.name, record.method);
        Recorded remote;
        remote.answer = parsed(record.answer);
        const auto behind = record.info.connect(remote);  // tells what reached the Api
        const http::Routes routes = record.serve(behind.get());
        const auto route = std::find_if(routes.begin(), routes.end(), [&](const auto& one) {
            return one.pattern.ends_with(fmt::format("/api/{}", record.method));
        });
        REQUIRE(route != routes.end());
        http::Request request;
        request.method = http::Method::post;
        request.body = record.arguments;
        const auto response = shop.run(route->handler(ctx(shop), request));
        REQUIRE(response.has_value());
        CHECK(remote.called == record.method);
        CHECK(has_all_of(remote.sent, parsed(record.arguments)));
        CHECK(has_all_of(parsed(response->body), parsed(record.answer)));
    }
}

TEST_CASE("versions: every method has its record") {
    std::set<std::string> recorded;
    std::set<std::string> described;
    Recorded remote;
    for (const Record& record : records()) {
        recorded.insert(fmt::format("/internal/{}/api/{}", record.info.name, record.method));
        const auto client = record.info.connect(remote);
        for (const http::Route& route : record.serve(client.get()))
            described.insert(route.pattern);
    }
    CHECK(recorded == described);
}

TEST_CASE("versions: a member that an answer lacks has its default, or is told") {
    Shop shop;
    for (const Record& record : records()) {
        CAPTURE(record.info.name, record.method);
        Recorded remote;
        const auto client = record.info.connect(remote);
        json::value answer = parsed(record.answer);
        without_each_member(answer, answer, [&](const std::string& member) {
            CAPTURE(member);
            remote.answer = answer;
            const std::string text = record.make(shop, client.get());
            const bool refused = text.starts_with("500 bad_peer_answer");
            CHECK(refused != record.may_lack.contains(member));
        });
    }
}

TEST_CASE("versions: an enumerator of a later version is told, not guessed") {
    Shop shop;
    Recorded remote;
    const auto client = payment::module().connect(remote);
    remote.answer = "of_tomorrow";
    auto& api = as<payment::Api>(client.get());
    const auto outcome = shop.run(api.void_order(ctx(shop), "ord_1"));
    REQUIRE(outcome.has_error());
    CHECK(outcome.error().code == "bad_peer_answer");
}
