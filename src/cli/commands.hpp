// The command line: `run` parses it and calls one of the commands, each in a file of its own.
// Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.
#pragma once

#include "host/config.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace souk::cli {

int run(int argc, char** argv);

/// What every command that needs the configuration takes: --config, --data, --set.
struct CommonOptions {
    std::string config_file;
    std::vector<host::ConfigFlag> flags;
};

struct ServeOptions {
    CommonOptions common;
    std::vector<std::string> modules;  // empty: all
    bool demo = false;
    bool takeover = false;
};
int serve(const ServeOptions& options);

int migrate(const CommonOptions& options);

struct SeedOptions {
    CommonOptions common;
    bool demo = false;
    std::string email;  // --account; empty: none
    std::string role;
    std::string name;
    std::string credentials_file;  // empty: print the password once
};
int seed(const SeedOptions& options);

int topology(bool as_json);

struct DevCertsOptions {
    std::string folder;
    bool as_json = false;
};
int dev_certs(const DevCertsOptions& options);

int config_check(const CommonOptions& options);
int config_show(const CommonOptions& options, bool as_json);

struct HealthcheckOptions {
    CommonOptions common;
    std::string url;  // empty: the server of the data folder
};
int healthcheck(const HealthcheckOptions& options);

/// Takes part in both `import` and `replay`: the file, and the shop's public API with an account.
struct TradeOptions {
    std::string file;
    std::string url;
    std::string credentials_file;
    std::size_t connections = 32;  // of replay
    std::string report_file;       // of replay: the report as JSON goes there as well
    bool as_json = false;          // print JSON instead of words
};
int import_online_retail(const TradeOptions& options);
int replay_online_retail(const TradeOptions& options);

struct VerifyOptions {
    CommonOptions common;
    std::int64_t settle_s = 0;  // wait so long for what is under way; then it counts as a fault
    bool as_json = false;
};
int verify(const VerifyOptions& options);

struct DeadLetterOptions {
    CommonOptions common;
    std::string consumer;
    std::string event_id;
    bool all = false;  // of replay: instead of an event's id
    bool as_json = false;
};
int list_dead_letters(const DeadLetterOptions& options);
int replay_dead_letter(const DeadLetterOptions& options);
int drop_dead_letter(const DeadLetterOptions& options);

struct DoctorOptions {
    CommonOptions common;
    std::vector<std::string> modules;  // empty: all
    bool as_json = false;
};
int doctor(const DoctorOptions& options);

}  // namespace souk::cli
