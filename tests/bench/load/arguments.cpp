#include "bench/load/arguments.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cstdio>

namespace souk::bench {

namespace {

template <typename Number>
Number parse(const std::string& name, const std::string& text) {
    Number value{};
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc{} || stop != end)
        throw UsageError(fmt::format("{}: '{}' is no number that fits", name, text));
    return value;
}

bool asks_for_help(int argc, char** argv) {
    for (int i = 1; i < argc; ++i)
        if (std::string_view(argv[i]) == "--help" || std::string_view(argv[i]) == "-h") return true;
    return false;
}

}  // namespace

Arguments::Arguments(int argc, char** argv, const std::set<std::string>& known) {
    for (int i = 1; i < argc; i += 2) {
        const std::string name = argv[i];
        if (!known.contains(name)) throw UsageError(fmt::format("unknown option '{}'", name));
        if (i + 1 == argc) throw UsageError(fmt::format("{} wants a value", name));
        if (!values_.emplace(name, argv[i + 1]).second)
            throw UsageError(fmt::format("{} is there twice", name));
    }
}

std::string Arguments::text(const std::string& name) const {
    const auto found = values_.find(name);
    if (found == values_.end() || found->second.empty())
        throw UsageError(fmt::format("{} is missing", name));
    return found->second;
}

std::vector<std::string> Arguments::list(const std::string& name) const {
    const std::string all = text(name);
    std::vector<std::string> parts;
    for (std::size_t from = 0; from <= all.size();) {
        const std::size_t comma = std::min(all.find(',', from), all.size());
        if (comma == from) throw UsageError(fmt::format("{}: an empty part in '{}'", name, all));
        parts.push_back(all.substr(from, comma - from));
        from = comma + 1;
    }
    return parts;
}

double Arguments::number(const std::string& name, double fallback) const {
    if (!has(name)) return fallback;
    const auto value = parse<double>(name, text(name));
    if (!(value >= 0 && value < 1e12)) throw UsageError(fmt::format("{}: out of range", name));
    return value;
}

std::uint64_t Arguments::count(const std::string& name, std::uint64_t fallback) const {
    if (!has(name)) return fallback;
    const auto value = parse<std::uint64_t>(name, text(name));
    if (value == 0) throw UsageError(fmt::format("{} is at least 1", name));
    return value;
}

int run_program(
    const char* name, const char* usage, int argc, char** argv, const std::function<int()>& body
) {
    if (asks_for_help(argc, argv)) {
        std::fputs(usage, stdout);
        return 0;
    }
    try {
        return body();
    } catch (const UsageError& error) {
        fmt::print(stderr, "{}: {}; see --help\n", name, error.what());
        return 2;
    } catch (const std::exception& error) {
        fmt::print(stderr, "{}: {}\n", name, error.what());
        return 1;
    }
}

}  // namespace souk::bench
