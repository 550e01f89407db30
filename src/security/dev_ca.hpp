// Certificates for development: a certification authority of one's own and a certificate a role,
// so that the internal listeners of a split shop on a laptop demand the same as in production.
// Production takes its certificates from elsewhere (cert-manager, a mesh); nothing here is for it.
#pragma once

#include "souk/clock.hpp"
#include "souk/error.hpp"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace souk::security {

/// Makes what is missing in `folder`: ca.crt, ca.key, and <role>.crt, <role>.key for each of
/// `roles`, all of mode 0600. A certificate names its role, <role>-service, localhost, 127.0.0.1
/// and ::1, serves and calls, and holds for a year from `now`. What is there is left as it is.
/// Returns the names of the files made. Errors: `unavailable` "dev_certs" with the file and the
/// reason: half of a pair is there, a certificate has expired or is of another authority, the
/// folder cannot be written.
Result<std::vector<std::string>> make_dev_certificates(
    const std::filesystem::path& folder, const std::vector<std::string>& roles, Timestamp now
);

/// Makes what is missing in `folder`, which is there: identity.key, with which the gateway says who
/// asks, and identity.pub, by which the others check it. What is there is left as it is. Returns
/// the names of the files made. Errors: `unavailable` "dev_certs", "signing_key" or "public_key"
/// with the file and the reason: a public key without its private one, or of another.
Result<std::vector<std::string>> make_dev_identity(const std::filesystem::path& folder);

}  // namespace souk::security
