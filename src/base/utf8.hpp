// Reading UTF-8 a code point at a time, for text that somebody else wrote.
#pragma once

#include <cstddef>
#include <string_view>

namespace souk::base {

struct Utf8Step {
    char32_t code_point = 0xfffd;
    std::size_t size = 1;  // bytes to skip
    bool valid = false;
};

/// The first code point of `text`, which is not empty. Overlong forms, surrogates and what lies
/// beyond U+10FFFF are not valid and one byte long.
Utf8Step next_code_point(std::string_view text);

}  // namespace souk::base
