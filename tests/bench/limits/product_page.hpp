// A page of products as the shop answers it, made from the rows of its list by Boost.JSON: what the
// obvious server does with them.
#pragma once

#include <cstddef>
#include <string>

struct pg_result;

namespace souk::bench {

/// `rows` has the columns of the shop's list as text; one more than `limit` shows that more follow.
std::string render_page(const pg_result* rows, std::size_t limit);

}  // namespace souk::bench
