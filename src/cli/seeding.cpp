#include "cli/seeding.hpp"

#include "souk/id.hpp"
#include "souk/json.hpp"

#include <fmt/format.h>

#include <array>

namespace souk::cli {
namespace {

struct Gift {
    std::string_view sku;
    std::string_view name;
    std::string_view description;
    std::string_view category;
    std::string_view price;  // in pence
    std::int64_t stock;
};

constexpr std::array gifts = {
    Gift{"MUG-STRIPE", "Striped mug", "Stoneware, 350 ml, dishwasher safe", "kitchen", "895", 120},
    Gift{"MUG-HEART", "Mug with a heart", "Stoneware, 300 ml, hand painted", "kitchen", "950", 90},
    Gift{"TEA-TIN", "Tea tin", "Holds 125 g, with an inner lid", "kitchen", "725", 80},
    Gift{"TEA-TOWEL", "Linen tea towel", "50 x 70 cm, washed linen", "kitchen", "1150", 150},
    Gift{"CAKE-TINS", "Three cake tins", "Nesting, in pantry colours", "kitchen", "1695", 45},
    Gift{"APRON-RETRO", "Retro apron", "Cotton, one size, two pockets", "kitchen", "1850", 60},
    Gift{"JAM-SET", "Jam making set", "Twelve labels, covers and bands", "kitchen", "425", 200},
    Gift{
        "CANDLE-WHITE", "White candle holder", "Hanging heart, for tea lights", "home", "295", 240},
    Gift{"LANTERN", "Garden lantern", "Zinc, 32 cm, with a wooden grip", "home", "2450", 35},
    Gift{"CLOCK-KITCHEN", "Kitchen clock", "Enamel, 26 cm, silent", "home", "2995", 30},
    Gift{"FRAME-OAK", "Oak picture frame", "For 13 x 18 cm, to stand or hang", "home", "1495", 70},
    Gift{"CUSHION-BIRD", "Bird cushion", "45 x 45 cm, feather filled", "home", "2250", 40},
    Gift{"HOT-BOTTLE", "Hot water bottle", "Two litres, knitted cover", "home", "1695", 85},
    Gift{"DOORMAT", "Coir doormat", "40 x 60 cm, says hello", "home", "1395", 55},
    Gift{"BUNTING", "Party bunting", "Five metres of cotton flags", "party", "1250", 110},
    Gift{"CAKE-CASES", "Seventy-two cake cases", "In six designs", "party", "195", 400},
    Gift{"NAPKINS", "Paper napkins", "Twenty, three-ply, in spots", "party", "325", 300},
    Gift{"GIFT-WRAP", "Gift wrap", "Three metres, recycled paper", "party", "375", 260},
    Gift{"LUNCH-BAG", "Lunch bag", "Wipe-clean, keeps cool", "bags", "695", 180},
    Gift{"TOTE-JUMBO", "Jumbo tote bag", "Recycled, carries 20 kg", "bags", "450", 220},
    Gift{"WASH-BAG", "Wash bag", "Water-resistant, two pockets", "bags", "1195", 75},
    Gift{"NOTEBOOK-A5", "A5 notebook", "160 dotted pages, lies flat", "stationery", "895", 140},
    Gift{
        "PENCILS-12",
        "Twelve colouring pencils",
        "In a tin with a sharpener",
        "stationery",
        "650",
        160},
    Gift{"JIGSAW-1000", "Jigsaw of the market", "1,000 pieces, 68 x 48 cm", "games", "1595", 50},
};

json::object to_json(const Gift& gift) {
    json::object item;
    item["sku"] = gift.sku;
    item["name"] = gift.name;
    item["description"] = gift.description;
    item["category"] = gift.category;
    item["currency"] = "GBP";
    item["unit_amount_decimal"] = gift.price;
    item["stock"] = gift.stock;
    return item;
}

/// The body of an answer that agrees with `what` was asked.
Result<json::value> expect_success(const Result<http::Response>& response, std::string_view what) {
    if (!response) return response.error();
    if (response->status >= 300)
        return Error(
            error_kind_of(response->status),
            "seed",
            fmt::format("{}: the shop answered {}: {}", what, response->status, response->body)
        );
    return json::parse(
        response->body.empty() ? std::string_view("null") : std::string_view(response->body)
    );
}

}  // namespace

Task<Result<bool>> is_empty(host::ControlClient& shop) {
    const auto response = co_await shop.send(http::Method::get, "/api/products?limit=1");
    const auto page = expect_success(response, "listing products");
    if (!page) co_return page.error();
    co_return page->at("data").as_array().empty();
}

Task<Result<std::size_t>> seed_catalogue(host::ControlClient& shop) {
    json::array items;
    for (const Gift& gift : gifts)
        items.push_back(to_json(gift));
    json::object body;
    body["items"] = std::move(items);
    const auto response = co_await shop.send(
        http::Method::post, "/api/products/import", json::serialize(std::move(body))
    );
    const auto answer = expect_success(response, "importing products");
    if (!answer) co_return answer.error();
    co_return gifts.size();
}

Task<Result<std::string>> put_account(host::ControlClient& shop, NewAccount account) {
    std::string password = random_token(18);
    json::object body;
    body["email"] = account.email;
    body["name"] = account.name;
    body["role"] = account.role;
    body["password"] = password;
    body["reset"] = true;
    const auto response = co_await shop.send(
        http::Method::post, "/internal/user/accounts", json::serialize(std::move(body))
    );
    const auto answer = expect_success(response, "making an account");
    if (!answer) co_return answer.error();
    co_return password;
}

}  // namespace souk::cli
