#include "souk/context.hpp"

#include <array>

namespace souk {
namespace {

struct Grant {
    std::string_view role;
    std::string_view permission;
};

// Customers have no permissions: what is theirs is theirs by ownership. `admin` is not listed
// because it carries all.
constexpr std::array grants{
    Grant{"staff", "products:write"},
    Grant{"staff", "stock:write"},
    Grant{"staff", "orders:read"},
    Grant{"staff", "payments:read"},
    Grant{"staff", "audit:read"},
    Grant{"importer", "products:import"},
    Grant{"importer", "users:import"},
    Grant{"importer", "orders:import"},
    Grant{"importer", "products:read_all"},
};

}  // namespace

bool Identity::may(std::string_view permission) const {
    if (roles.empty()) return false;
    if (has_role("admin")) return true;
    return std::any_of(grants.begin(), grants.end(), [&](const Grant& grant) {
        return grant.permission == permission && has_role(grant.role);
    });
}

}  // namespace souk
