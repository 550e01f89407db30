// Where to connect: a libpq URI, what souk adds to it, the password of the moment.
#pragma once

#include "souk/error.hpp"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace souk::database::postgres {

struct Keyword {
    Keyword(std::string name, std::string value) : name(std::move(name)), value(std::move(value)) {}
    std::string name;
    std::string value;
};
using Keywords = std::vector<Keyword>;

std::string_view find(const Keywords& keywords, std::string_view name);
/// Replaces or adds.
void set(Keywords& keywords, std::string_view name, std::string value);

class Target {
public:
    /// Errors: `unavailable` "database_open", without the text of the url, which may hold a
    /// password.
    static Result<Target> parse(const std::string& url, std::filesystem::path password_file);

    /// For one connect: reads the password's file. Errors: `unavailable` "database_open".
    Result<Keywords> keywords() const;

    std::string place() const;  // "localhost:5432", "a:5432,b:5432"
    std::string_view role() const { return find(keywords_, "user"); }
    std::string_view database() const;

private:
    Keywords keywords_;
    std::filesystem::path password_file_;
};

/// Words for somebody who sets souk up: what is wrong and how to mend it. `message` is libpq's.
Error connect_error(const Target& target, std::string_view message);

}  // namespace souk::database::postgres
