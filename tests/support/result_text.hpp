// How Catch2 shows a Result: what CHECK(result) needs, since values need not be printable. Include
// it wherever a Result stands in a CHECK.
#pragma once

#include "souk/error.hpp"

#include <catch2/catch.hpp>

#include <string>

namespace Catch {

template <class T>
struct StringMaker<boost::system::result<T, souk::Error>> {
    static std::string convert(const boost::system::result<T, souk::Error>& result) {
        if (result.has_value()) return "(a value)";
        souk::Error error = result.error();
        return error.code + " (" + error.detail + ")";
    }
};

}  // namespace Catch
