// When a test fails, what the processes of its split shop had to say.
#include "support/split_shop.hpp"

#define CATCH_CONFIG_EXTERNAL_INTERFACES
#include <catch2/catch.hpp>

namespace {

class SplitLogs final : public Catch::TestEventListenerBase {
public:
    using TestEventListenerBase::TestEventListenerBase;

    void testCaseStarting(const Catch::TestCaseInfo& info) override {
        TestEventListenerBase::testCaseStarting(info);
        shown_ = false;
    }
    bool assertionEnded(const Catch::AssertionStats& stats) override {
        if (!shown_ && !stats.assertionResult.isOk()) {
            shown_ = true;  // once a test: the first fault is the one to understand
            souk::test::show_split_logs();
        }
        return true;
    }

private:
    bool shown_ = false;
};

}  // namespace

CATCH_REGISTER_LISTENER(SplitLogs)
