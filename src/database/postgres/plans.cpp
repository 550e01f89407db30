#include "database/postgres/plans.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace souk::database::postgres {
namespace {

// Statements are constants of the code, so this is far away.
constexpr std::size_t plans_limit = 512;
// The server cuts names at 63 characters.
constexpr std::size_t name_limit = 56;

bool fits(const Plan& plan, const std::vector<Oid>& types, const Params& params) {
    if (plan.types.size() != types.size()) return false;
    for (std::size_t i = 0; i < types.size(); ++i)
        if (plan.types[i] != types[i] && !std::holds_alternative<std::monostate>(params[i]))
            return false;
    return true;
}

}  // namespace

const Plan* Plans::find(
    const Statement& statement, const std::vector<Oid>& types, const Params& params
) {
    auto found = by_statement_.find(statement.name);
    if (found == by_statement_.end()) return nullptr;
    for (const Plan& plan : found->second.plans) {
        if (plan.sql != sql_of(statement))
            throw std::logic_error("two statements are named " + std::string(statement.name));
        if (fits(plan, types, params)) return &plan;
    }
    return nullptr;
}

bool Plans::takes(const Statement& statement) const {
    if (statement.name.empty() || statement.name.size() > name_limit) return false;
    return by_statement_.size() < plans_limit;
}

const Plan& Plans::add(const Statement& statement, std::vector<Oid> types, std::size_t parameters) {
    Entry& entry = by_statement_[std::string(statement.name)];
    Plan plan;
    plan.name = std::string(statement.name);
    if (entry.made++ > 0) plan.name += fmt::format("#{}", entry.made);
    plan.sql = std::string(sql_of(statement));
    plan.types = std::move(types);
    plan.parameters = parameters;
    return entry.plans.emplace_back(std::move(plan));
}

void Plans::forget(const std::string& name) {
    auto same = [&](const Plan& plan) { return plan.name == name; };
    for (auto& [statement, entry] : by_statement_)
        std::erase_if(entry.plans, same);
}

}  // namespace souk::database::postgres
