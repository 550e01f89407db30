// The double-entry rules: which accounts a capture and a refund touch. Debits are positive, credits
// negative, and each set sums to zero. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace souk::payment::domain {

struct Posting {
    Posting(std::string_view account, std::int64_t amount) : account(account), amount(amount) {}
    std::string_view account;
    std::int64_t amount;  // minor units
};

using PostingSet = std::array<Posting, 2>;

/// The provider owes us what the customer paid.
PostingSet capture_postings(std::int64_t amount);
/// The provider gave back what it owed us.
PostingSet refund_postings(std::int64_t amount);
bool sums_to_zero(const PostingSet& postings);

}  // namespace souk::payment::domain
