#include "host/data_folder.hpp"

#include "support/result_text.hpp"
#include "support/temp_folder.hpp"

#include <catch2/catch.hpp>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <string>

using namespace souk;
using host::DataFolder;
namespace fs = std::filesystem;

TEST_CASE("one owner at a time, and the second learns who the first is") {
    const test::TempFolder folder;
    const fs::path shop = folder.path() / "shop";
    {
        const auto first = DataFolder::lock(shop);
        REQUIRE(first);
        const auto second = DataFolder::lock(shop);
        REQUIRE_FALSE(second);
        CHECK(second.error().code == "data_locked");
        CHECK_THAT(
            second.error().detail,
            Catch::Contains("process " + std::to_string(::getpid()) + " is using")
        );
    }
    CHECK(DataFolder::lock(shop));
}

TEST_CASE("a new folder and what is announced in it are the owner's alone") {
    const test::TempFolder folder;
    const fs::path shop = folder.path() / "deep" / "shop";
    auto owned = DataFolder::lock(shop);
    REQUIRE(owned);
    CHECK(fs::status(shop).permissions() == fs::perms::owner_all);
    REQUIRE(owned->announce(3000, 9090));
    const fs::path file = shop / "souk.json";
    CHECK(fs::status(file).permissions() == (fs::perms::owner_read | fs::perms::owner_write));
    std::ifstream in(file);
    const std::string text((std::istreambuf_iterator<char>(in)), {});
    CHECK_THAT(text, Catch::Contains("\"port\":3000,\"metrics_port\":9090"));
    owned->withdraw();
    CHECK_FALSE(fs::exists(file));
}

TEST_CASE("a private file replaces one that others could read") {
    const test::TempFolder folder;
    const fs::path file = folder.path() / "secret";
    std::ofstream(file) << "old";
    fs::permissions(file, fs::perms::all);
    REQUIRE(host::write_private_file(file, "new"));
    CHECK(fs::status(file).permissions() == (fs::perms::owner_read | fs::perms::owner_write));
}

TEST_CASE("what is no folder, and a path too long for a socket, are told in words") {
    const test::TempFolder folder;
    const fs::path file = folder.path() / "file";
    std::ofstream(file) << "x";
    const auto refused = DataFolder::lock(file);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == "data_folder");
    const auto socket = host::control_socket(fs::path("/tmp") / std::string(100, 'x'));
    REQUIRE_FALSE(socket);
    CHECK_THAT(socket.error().detail, Catch::Contains("107"));
    CHECK(host::control_socket("/tmp/shop"));
}
