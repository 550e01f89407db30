// The commands that prepare a split shop, as a shell runs them: what they print and their exit
// codes.
#include "cli/commands.hpp"
#include "souk/json.hpp"
#include "support/temp_folder.hpp"

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <set>
#include <sstream>

using namespace souk;

namespace {

struct Ran {
    int code = -1;
    std::string out;
};

/// With standard output, or `stream`, in a file.
Ran run(std::vector<std::string> words, int stream = STDOUT_FILENO) {
    const test::TempFolder folder;
    const auto file = folder.path() / "out";
    words.insert(words.begin(), "souk");
    std::vector<char*> argv;
    for (std::string& word : words)
        argv.push_back(word.data());

    std::fflush(nullptr);
    const int before = ::dup(stream);
    const int into = ::open(file.c_str(), O_WRONLY | O_CREAT, 0600);
    ::dup2(into, stream);
    Ran ran;
    ran.code = cli::run(static_cast<int>(argv.size()), argv.data());
    std::fflush(nullptr);
    ::dup2(before, stream);
    ::close(into);
    ::close(before);
    std::stringstream text;
    text << std::ifstream(file).rdbuf();
    ran.out = text.str();
    return ran;
}

std::set<std::string> names(const json::value& list) {
    std::set<std::string> out;
    for (const json::value& name : list.as_array())
        out.emplace(name.as_string());
    return out;
}

const std::set<std::string> roles = {
    "gateway", "user", "product", "order", "payment", "notification", "operator"};

}  // namespace

TEST_CASE("dev-certs makes what every role's settings name, once", "[dev-certs]") {
    const test::TempFolder folder;
    const auto certs = folder.path() / "certs";
    const Ran first = run({"dev-certs", certs.string() + "/", "--json"});
    REQUIRE(first.code == 0);
    const json::value told = json::parse(first.out).value();
    CHECK(told.at("folder").as_string() == certs.string());
    CHECK(told.at("kept").as_array().empty());
    CHECK(told.at("made").as_array().size() == 2 + 2 * roles.size() + 2);

    std::set<std::string> described;
    for (const auto& [role, settings] : told.at("settings").as_object()) {
        described.emplace(role);
        for (const auto& [key, file] : settings.as_object())
            CHECK(std::filesystem::exists(std::string(file.as_string())));
        const auto& object = settings.as_object();
        CHECK(object.contains("internal.identity_key_file") == (role == "gateway"));
        const bool checks = role != "gateway" && role != "operator";
        CHECK(object.contains("internal.identity_public_file") == checks);
        const std::string certificate(object.at("internal.certificate_file").as_string());
        CHECK(certificate == (certs / (std::string(role) + ".crt")).string());
    }
    CHECK(described == roles);

    const Ran again = run({"dev-certs", certs.string(), "--json"});
    CHECK(again.code == 0);
    const json::value kept = json::parse(again.out).value();
    CHECK(kept.at("made").as_array().empty());
    CHECK(names(kept.at("kept")) == names(told.at("made")));
    CHECK(
        run({"dev-certs", certs.string()}).out.find("identity_key_file = \"" + certs.string()) !=
        std::string::npos
    );
}

TEST_CASE("dev-certs fails by its exit code and leaves what is bad", "[dev-certs]") {
    const test::TempFolder folder;
    REQUIRE(run({"dev-certs", folder.path().string()}).code == 0);
    std::ofstream(folder.path() / "order.crt") << "rubbish";
    const Ran ran = run({"dev-certs", folder.path().string()});
    CHECK(ran.code == 1);
    CHECK(ran.out.empty());
    CHECK(std::filesystem::file_size(folder.path() / "order.crt") == 7);
    CHECK(run({"dev-certs"}).code == 2);
}

TEST_CASE("the topology is the table of deployments", "[topology]") {
    const Ran ran = run({"topology", "--json"});
    REQUIRE(ran.code == 0);
    const json::value table = json::parse(ran.out).value();
    std::set<std::string> found;
    std::set<std::int64_t> ports;
    for (const json::value& row : table.at("modules").as_array()) {
        found.emplace(row.at("name").as_string());
        const std::int64_t port = row.at("port").to_number<std::int64_t>();
        const std::int64_t internal = row.at("internal_port").to_number<std::int64_t>();
        const bool gateway = row.at("name").as_string() == "gateway";
        CHECK(internal == (gateway ? 0 : port + 10'000));
        ports.insert(port);
        ports.insert(row.at("metrics_port").to_number<std::int64_t>());
    }
    std::set<std::string> wanted = roles;
    wanted.erase("operator");
    CHECK(found == wanted);
    CHECK(ports.size() == 2 * wanted.size());  // all on one machine, and none collides
    const auto& order = table.at("modules").as_array().at(3);
    CHECK(order.at("service").as_string() == "order-service");
    CHECK(order.at("port").to_number<int>() == 3003);
    CHECK(order.at("metrics_port").to_number<int>() == 9193);
    CHECK(names(order.at("calls")) == std::set<std::string>{"product", "payment"});
    CHECK(names(order.at("callers")).contains("gateway"));
    CHECK(names(order.at("listens")).contains("payment.captured"));
}

TEST_CASE("a part of the shop is no place for a demo", "[topology]") {
    CHECK(run({"serve", "--demo", "--modules=order"}).code == 2);
}

TEST_CASE("a word that is no command is named, with what it may be", "[help]") {
    const Ran slip = run({"config", "shw"}, STDERR_FILENO);
    CHECK(slip.code == 2);
    CHECK(slip.out == "souk: there is no 'souk config shw'; did you mean 'show'?\n");
    const Ran stranger = run({"frobnicate"}, STDERR_FILENO);
    CHECK(stranger.code == 2);
    CHECK_THAT(stranger.out, Catch::Contains("'souk frobnicate'; there are: serve, migrate"));
    // What is missing, where no word is wrong.
    CHECK_THAT(run({"config"}, STDERR_FILENO).out, Catch::Contains("subcommand is required"));
}

TEST_CASE("a command's help is of that command", "[help]") {
    CHECK_THAT(run({"--help"}).out, Catch::Contains("souk serve --demo"));
    for (const char* command : {"migrate", "topology", "healthcheck"}) {
        const Ran help = run({command, "--help"});
        CHECK(help.code == 0);
        CHECK_THAT(help.out, !Catch::Contains("serve --demo"));
    }
}
