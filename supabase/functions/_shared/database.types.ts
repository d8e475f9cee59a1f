export type Json = string | number | boolean | null | { [key: string]: Json | undefined } | Json[];

export type Database = {
  public: {
    Tables: {
      [_ in never]: never;
    };
    Views: {
      [_ in never]: never;
    };
    Functions: {
      balance_with_api_key: {
        Args: { p_external_user_id: string; p_key_hash: string };
        Returns: {
          as_of: string;
          grants_left: number;
          payment_status: Database["public"]["Enums"]["payment_status"];
          plan: string;
          plan_type: Database["public"]["Enums"]["plan_type"];
          quota_amount: number;
          quota_left: number;
          quota_resets_at: string;
          quota_used: number;
          restrictions: Json;
          tokens_left: number;
          user_id: string;
        }[];
      };
      consume_with_api_key: {
        Args: {
          p_external_user_id: string;
          p_key_hash: string;
          p_metadata?: Json;
          p_request_id?: string;
          p_tag?: string;
          p_tokens: number;
        };
        Returns: {
          base_quota_used: number;
          created_at: string;
          grants_left: number;
          grants_used: number;
          message: string;
          nearest_limit: Json;
          quota_left: number;
          reason: string;
          replayed: boolean;
          request_id: string;
          retry_at: string;
          sources: Json;
          success: boolean;
          tokens_consumed: number;
          transfer_number: number;
          user_id: string;
        }[];
      };
      grant_with_api_key: {
        Args: {
          p_expires_at?: string;
          p_external_user_id: string;
          p_grant_type: Database["public"]["Enums"]["grant_type"];
          p_key_hash: string;
          p_metadata?: Json;
          p_request_id?: string;
          p_tokens: number;
        };
        Returns: {
          created_at: string;
          expires_at: string;
          grant_id: string;
          grant_type: Database["public"]["Enums"]["grant_type"];
          grants_left: number;
          metadata: Json;
          replayed: boolean;
          request_id: string;
          tokens: number;
          transfer_number: number;
          user_id: string;
        }[];
      };
      transfers_with_api_key: {
        Args: {
          p_before?: number;
          p_external_user_id: string;
          p_key_hash: string;
          p_limit?: number;
        };
        Returns: {
          amount: number;
          base_quota_used: number;
          created_at: string;
          grant_id: string;
          grants_left: number;
          grants_used: number;
          metadata: Json;
          quota_left: number;
          request_id: string;
          tag: string;
          transaction_type: Database["public"]["Enums"]["transaction_type"];
          transfer_number: number;
        }[];
      };
    };
    Enums: {
      grant_type: "trial" | "bonus" | "purchase" | "refund" | "adjustment";
      payment_status: "active" | "past_due" | "canceled";
      plan_type: "subscription" | "pay_as_you_go";
      transaction_type: "grant" | "consumption";
    };
    CompositeTypes: {
      [_ in never]: never;
    };
  };
};

export const Constants = {
  public: {
    Enums: {
      grant_type: ["trial", "bonus", "purchase", "refund", "adjustment"],
      payment_status: ["active", "past_due", "canceled"],
      plan_type: ["subscription", "pay_as_you_go"],
      transaction_type: ["grant", "consumption"],
    },
  },
} as const;
