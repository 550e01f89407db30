#include "base/utf8.hpp"

namespace souk::base {
namespace {

constexpr char32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};  // by length, to refuse overlong

std::size_t length_of(unsigned char lead) {
    if (lead < 0x80) return 1;
    if (lead >= 0xc2 && lead <= 0xdf) return 2;
    if (lead >= 0xe0 && lead <= 0xef) return 3;
    if (lead >= 0xf0 && lead <= 0xf4) return 4;
    return 0;
}

}  // namespace

Utf8Step next_code_point(std::string_view text) {
    auto lead = static_cast<unsigned char>(text.front());
    std::size_t length = length_of(lead);
    if (length == 1) return Utf8Step{lead, 1, true};
    if (length == 0 || length > text.size()) return Utf8Step{};
    char32_t c = lead & (0x7fu >> length);
    for (std::size_t i = 1; i < length; ++i) {
        auto next = static_cast<unsigned char>(text[i]);
        if ((next & 0xc0) != 0x80) return Utf8Step{};
        c = (c << 6) | (next & 0x3f);
    }
    bool surrogate = c >= 0xd800 && c <= 0xdfff;
    if (c < smallest[length] || surrogate || c > 0x10ffff) return Utf8Step{};
    return Utf8Step{c, length, true};
}

}  // namespace souk::base
