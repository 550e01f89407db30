// The tree against its rules, and each rule against a planted violation.
#include "rules.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

using namespace souk::architecture;

namespace {

std::string read(const std::filesystem::path& file) {
    std::stringstream text;
    text << std::ifstream(file).rdbuf();
    return text.str();
}

Tree read_tree(const std::filesystem::path& root) {
    static const std::regex module(R"(souk_module\((\w+)(?:\s+PEERS((?:\s+[a-z]\w*)+))?)");
    Tree tree;
    for (const auto& folder : std::filesystem::directory_iterator(root / "modules")) {
        const std::string cmake = read(folder.path() / "CMakeLists.txt");
        std::smatch match;
        if (!std::regex_search(cmake, match, module)) continue;
        std::istringstream names(match[2].str());
        std::set<std::string>& peers = tree.peers[match[1].str()];
        for (std::string name; names >> name;)
            peers.insert(name);
    }
    return tree;
}

std::vector<std::string> sources(const std::filesystem::path& root) {
    std::vector<std::string> found;
    for (std::string_view top : {"include", "src", "modules"})
        for (const auto& entry : std::filesystem::recursive_directory_iterator(root / top)) {
            const auto extension = entry.path().extension();
            if (extension == ".cpp" || extension == ".hpp")
                found.push_back(std::filesystem::relative(entry.path(), root).string());
        }
    std::sort(found.begin(), found.end());
    return found;
}

const std::filesystem::path root = SOUK_SOURCE_DIR;

}  // namespace

TEST_CASE("no file includes what its folder may not") {
    const Tree tree = read_tree(root);
    REQUIRE(tree.peers.size() >= 5);
    REQUIRE(tree.peers.at("order").contains("product"));
    const auto files = sources(root);
    REQUIRE(files.size() > 50);
    for (const std::string& file : files)
        for (const std::string& fault : include_faults(tree, file, read(root / file))) {
            UNSCOPED_INFO(fault);
            CHECK(fault.empty());
        }
}

TEST_CASE("no file uses a form that GCC 12 compiles wrongly") {
    for (const std::string& file : sources(root))
        for (const std::string& fault : coroutine_faults(file, read(root / file))) {
            UNSCOPED_INFO(fault);
            CHECK(fault.empty());
        }
}

TEST_CASE("no source file is longer than 500 lines") {
    for (const std::string& file : sources(root)) {
        const std::string text = read(root / file);
        INFO(file);
        CHECK(std::count(text.begin(), text.end(), '\n') <= 500);
    }
}

TEST_CASE("planted violations of the include graph are found") {
    Tree tree;
    tree.peers["order"] = {"product"};
    const auto refused = [&tree](std::string_view path, std::string_view include) {
        return !include_faults(tree, path, fmt::format("#include {}\n", include)).empty();
    };
    CHECK(refused("modules/order/domain/order.cpp", "\"souk/database.hpp\""));
    CHECK(refused("modules/order/domain/order.cpp", "\"app/place.hpp\""));
    CHECK(refused("modules/order/store/orders.cpp", "\"app/place.hpp\""));
    CHECK(refused("modules/order/http/routes.cpp", "\"store/orders.hpp\""));
    CHECK(refused("modules/order/app/place.cpp", "\"souk/payment/api.hpp\""));
    CHECK(refused("modules/order/app/place.cpp", "\"host/host.hpp\""));
    CHECK(refused("modules/order/app/place.cpp", "<boost/beast/http.hpp>"));
    CHECK(refused("modules/order/client/client.cpp", "\"souk/product/api.hpp\""));
    CHECK(refused("modules/order/client/client.cpp", "\"app/place.hpp\""));
    CHECK(refused("modules/order/app/place.cpp", "\"client/client.hpp\""));
    CHECK(refused("modules/order/http/routes.cpp", "\"client/client.hpp\""));
    CHECK(refused("modules/order/module.cpp", "<sqlite3.h>"));
    CHECK(refused("modules/order/include/souk/order/api.hpp", "\"domain/order.hpp\""));
    CHECK(refused("src/http/dispatch.cpp", "\"gateway/gateway.hpp\""));
    CHECK(refused("src/base/id.cpp", "\"http/router.hpp\""));
    CHECK(refused("src/events/relay.cpp", "\"database/sqlite/sqlite_database.hpp\""));
    CHECK(refused("include/souk/http.hpp", "<boost/beast/core.hpp>"));
    CHECK(refused("src/stranger/x.cpp", "\"host/host.hpp\""));

    CHECK_FALSE(refused("modules/order/client/client.cpp", "\"souk/order/api.hpp\""));
    CHECK_FALSE(refused("modules/order/client/client.cpp", "\"souk/wire.hpp\""));
    CHECK_FALSE(refused("modules/order/module.cpp", "\"client/client.hpp\""));
    CHECK_FALSE(refused("modules/order/app/place.cpp", "\"souk/product/api.hpp\""));
    CHECK_FALSE(refused("modules/order/store/orders.cpp", "\"souk/database.hpp\""));
    CHECK_FALSE(refused("modules/order/domain/order.cpp", "<vector>"));
    CHECK_FALSE(refused("src/host/host.cpp", "\"database/sqlite/sqlite_database.hpp\""));
}

TEST_CASE("planted unsafe coroutine forms are found") {
    const auto refused = [](std::string_view code) {
        return !coroutine_faults("x.cpp", code).empty();
    };
    CHECK(refused("auto r = co_await f({1, 2});"));
    CHECK(refused("auto r = co_await f(a, Agg{1, 2});"));
    CHECK(refused("co_await db.transact([this, x](Transaction& tx) -> Task<> { co_return; });"));
    CHECK(refused("auto r = co_await (fast ? a() : b());"));
    CHECK(refused("asio::co_spawn(ex, [x]() -> Task<> { co_return; }(), asio::detached);"));

    CHECK_FALSE(refused("auto r = co_await db.query(statement, bind(id), deadline);"));
    CHECK_FALSE(
        refused("const auto body = [&](Transaction& tx) -> Task<> { co_return; };\n"
                "co_await db.transact(body);")
    );
    CHECK_FALSE(refused("// co_await f({1});"));
}

TEST_CASE("planted coroutines that GCC 12 lets run into nowhere are found") {
    const auto refused = [](std::string_view code) {
        return !coroutine_faults("x.cpp", code).empty();
    };
    CHECK(refused("Task<void> f() { if (!co_await x()) throw Failure(e); }"));
    CHECK(refused("Task<void> C::f(int a) const { if (!(co_await x(a, b))) { throw Bad(\"}\"); } }")
    );
    CHECK(refused(
        "namespace n {\nclass C : B {\n    Task<void> f() override {\n        int n = g();\n"
        "        if (n > 1) {\n            if (!co_await x()) throw Failure(e);\n        }\n    "
        "}\n};\n}"
    ));
    CHECK(refused("auto f = [this]() -> Task<void> { if (!co_await x()) throw Failure(e); };"));
    // The outer one's co_return is not the inner one's.
    CHECK(
        refused("Task<void> f() { auto g = []() -> Task<void> { if (!co_await x()) throw Bad(); }; "
                "co_await g(); co_return; }")
    );

    CHECK_FALSE(refused("Task<void> f() { if (!co_await x()) throw Failure(e); co_return; }"));
    CHECK_FALSE(refused("Task<void> f() { if (!co_await x()) throw Failure(e); co_await y(); }"));
    CHECK_FALSE(refused("Task<void> f() { if (!co_await x()) co_return; throw Failure(e); }"));
    CHECK_FALSE(refused("Task<void> f() { co_await x(); }"));
    CHECK_FALSE(refused("void f() { if (!x()) throw Failure(e); }"));
    CHECK_FALSE(refused("Task<int> f() { const bool ok = co_await x(); if (!ok) throw Bad(); }"));
}
