// Files that live inside the binary: migrations, templates, the default configuration. A target
// names them with souk_embed() in its CMakeLists.txt and declares the function of that name.
#pragma once

#include <span>
#include <string_view>

namespace souk::embedded {

struct File {
    std::string_view path;  // relative to the target's folder: "migrations/0001_users.sql"
    std::string_view content;
};

}  // namespace souk::embedded
