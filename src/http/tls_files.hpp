// Where one side's certificates lie.
#pragma once

#include <filesystem>

namespace souk::http {

/// PEM. All three are needed: each side shows a certificate and checks the other's.
struct TlsFiles {
    bool empty() const { return certificate.empty() && key.empty() && ca.empty(); }
    std::filesystem::path certificate;  // with the chain, if any
    std::filesystem::path key;
    std::filesystem::path ca;  // whom to believe
};

}  // namespace souk::http
