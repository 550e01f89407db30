// From a mail, its order and its customer to an RFC 5322 message, by the templates in templates/
// (mustache; the first line is the subject).
#pragma once

#include "domain/mail.hpp"
#include "souk/embedded.hpp"
#include "souk/order/api.hpp"
#include "souk/user/api.hpp"

#include <memory>
#include <span>
#include <string>

namespace souk::notification::app {

class Renderer {
public:
    /// `files`: those below "templates/" are read. Throws std::logic_error for a broken template.
    Renderer(std::string from, std::span<const embedded::File> files);
    ~Renderer();

    /// Errors: `invalid` "bad_address" for an address that can't stand in a header; `internal`
    /// "unknown_template".
    Result<std::string> render(
        const domain::Mail& mail, const order::Order& order, const user::User& user
    ) const;

private:
    struct Templates;
    std::string from_;
    std::unique_ptr<Templates> templates_;
};

}  // namespace souk::notification::app
