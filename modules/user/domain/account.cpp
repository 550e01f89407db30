#include "domain/account.hpp"

namespace souk::user::domain {

std::string normalized_email(std::string_view email) {
    std::string out(email);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

}  // namespace souk::user::domain
