// The command line of the bench programs: pairs of `--name value`, each checked against the names
// that a program knows. Faults are thrown as UsageError, which main() tells and answers with
// exit 2.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace souk::bench {

struct UsageError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

class Arguments {
public:
    /// Throws UsageError for a name that is not known, comes twice or has no value.
    Arguments(int argc, char** argv, const std::set<std::string>& known);

    bool has(const std::string& name) const { return values_.contains(name); }
    /// Each throws UsageError when the value is missing (and has no default) or malformed.
    std::string text(const std::string& name) const;
    std::vector<std::string> list(const std::string& name) const;                // by commas
    double number(const std::string& name, double fallback) const;               // 0 or more
    std::uint64_t count(const std::string& name, std::uint64_t fallback) const;  // 1 or more

private:
    std::map<std::string, std::string> values_;
};

/// The frame of a main(): `--help` prints the usage; a UsageError exits 2, another exception 1,
/// both with words on stderr.
int run_program(
    const char* name, const char* usage, int argc, char** argv, const std::function<int()>& body
);

}  // namespace souk::bench
