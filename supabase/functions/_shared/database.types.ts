export type Json = string | number | boolean | null | { [key: string]: Json | undefined } | Json[];

export type Database = {
  "public": {
    Tables: {
      "api_keys": {
        Row: {
          "created_at": string;
          "expires_at": string | null;
          "id": string;
          "key_hash": string;
          "key_hint": string;
          "last_used_at": string | null;
          "name": string;
          "project_id": string;
          "revoked_at": string | null;
          "scopes": (Database["public"]["Enums"]["api_key_scope"])[];
        };
        ComputedFields: never;
        Insert: {
          "created_at"?: string;
          "expires_at"?: string | null;
          "id"?: string;
          "key_hash": string;
          "key_hint": string;
          "last_used_at"?: string | null;
          "name": string;
          "project_id": string;
          "revoked_at"?: string | null;
          "scopes"?: (Database["public"]["Enums"]["api_key_scope"])[];
        };
        Update: {
          "created_at"?: string;
          "expires_at"?: string | null;
          "id"?: string;
          "key_hash"?: string;
          "key_hint"?: string;
          "last_used_at"?: string | null;
          "name"?: string;
          "project_id"?: string;
          "revoked_at"?: string | null;
          "scopes"?: (Database["public"]["Enums"]["api_key_scope"])[];
        };
        Relationships: [
          {
            foreignKeyName: "api_keys_project_id_fkey";
            columns: ["project_id"];
            isOneToOne: false;
            referencedRelation: "projects";
            referencedColumns: ["id"];
          },
        ];
      };
      "plan_quotas": {
        Row: {
          "created_at": string;
          "id": string;
          "period": Database["public"]["Enums"]["quota_period"];
          "plan_id": string;
          "token_amount": number;
        };
        ComputedFields: never;
        Insert: {
          "created_at"?: string;
          "id"?: string;
          "period"?: Database["public"]["Enums"]["quota_period"];
          "plan_id": string;
          "token_amount": number;
        };
        Update: {
          "created_at"?: string;
          "id"?: string;
          "period"?: Database["public"]["Enums"]["quota_period"];
          "plan_id"?: string;
          "token_amount"?: number;
        };
        Relationships: [
          {
            foreignKeyName: "plan_quotas_plan_id_fkey";
            columns: ["plan_id"];
            isOneToOne: true;
            referencedRelation: "plans";
            referencedColumns: ["id"];
          },
        ];
      };
      "plan_restrictions": {
        Row: {
          "created_at": string;
          "duration": Database["public"]["Enums"]["restriction_duration"];
          "id": string;
          "max_tokens": number;
          "plan_id": string;
          "restriction_config": NonNullable<Json>;
          "restriction_type": Database["public"]["Enums"]["restriction_type"];
          "tag_id": string | null;
        };
        ComputedFields: never;
        Insert: {
          "created_at"?: string;
          "duration"?: Database["public"]["Enums"]["restriction_duration"];
          "id"?: string;
          "max_tokens"?: number;
          "plan_id": string;
          "restriction_config": NonNullable<Json>;
          "restriction_type": Database["public"]["Enums"]["restriction_type"];
          "tag_id"?: string | null;
        };
        Update: {
          "created_at"?: string;
          "duration"?: Database["public"]["Enums"]["restriction_duration"];
          "id"?: string;
          "max_tokens"?: number;
          "plan_id"?: string;
          "restriction_config"?: NonNullable<Json>;
          "restriction_type"?: Database["public"]["Enums"]["restriction_type"];
          "tag_id"?: string | null;
        };
        Relationships: [
          {
            foreignKeyName: "plan_restrictions_plan_id_fkey";
            columns: ["plan_id"];
            isOneToOne: false;
            referencedRelation: "plans";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "plan_restrictions_tag_id_fkey";
            columns: ["tag_id"];
            isOneToOne: false;
            referencedRelation: "tags";
            referencedColumns: ["id"];
          },
        ];
      };
      "plans": {
        Row: {
          "created_at": string;
          "id": string;
          "name": string;
          "plan_type": Database["public"]["Enums"]["plan_type"];
          "project_id": string;
        };
        ComputedFields: never;
        Insert: {
          "created_at"?: string;
          "id"?: string;
          "name": string;
          "plan_type"?: Database["public"]["Enums"]["plan_type"];
          "project_id": string;
        };
        Update: {
          "created_at"?: string;
          "id"?: string;
          "name"?: string;
          "plan_type"?: Database["public"]["Enums"]["plan_type"];
          "project_id"?: string;
        };
        Relationships: [
          {
            foreignKeyName: "plans_project_id_fkey";
            columns: ["project_id"];
            isOneToOne: false;
            referencedRelation: "projects";
            referencedColumns: ["id"];
          },
        ];
      };
      "project_members": {
        Row: {
          "created_at": string;
          "project_id": string;
          "role": Database["public"]["Enums"]["project_role"];
          "user_id": string;
        };
        ComputedFields: never;
        Insert: {
          "created_at"?: string;
          "project_id": string;
          "role"?: Database["public"]["Enums"]["project_role"];
          "user_id": string;
        };
        Update: {
          "created_at"?: string;
          "project_id"?: string;
          "role"?: Database["public"]["Enums"]["project_role"];
          "user_id"?: string;
        };
        Relationships: [
          {
            foreignKeyName: "project_members_project_id_fkey";
            columns: ["project_id"];
            isOneToOne: false;
            referencedRelation: "projects";
            referencedColumns: ["id"];
          },
        ];
      };
      "projects": {
        Row: {
          "allow_client_consumption": boolean;
          "created_at": string;
          "default_plan_id": string | null;
          "id": string;
          "name": string;
          "time_zone": string;
        };
        ComputedFields: never;
        Insert: {
          "allow_client_consumption"?: boolean;
          "created_at"?: string;
          "default_plan_id"?: string | null;
          "id"?: string;
          "name": string;
          "time_zone"?: string;
        };
        Update: {
          "allow_client_consumption"?: boolean;
          "created_at"?: string;
          "default_plan_id"?: string | null;
          "id"?: string;
          "name"?: string;
          "time_zone"?: string;
        };
        Relationships: [
          {
            foreignKeyName: "default_plan_belongs_to_project";
            columns: ["default_plan_id", "id"];
            isOneToOne: false;
            referencedRelation: "plans";
            referencedColumns: ["id", "project_id"];
          },
        ];
      };
      "tags": {
        Row: {
          "created_at": string;
          "id": string;
          "name": string;
          "project_id": string;
        };
        ComputedFields: never;
        Insert: {
          "created_at"?: string;
          "id"?: string;
          "name": string;
          "project_id": string;
        };
        Update: {
          "created_at"?: string;
          "id"?: string;
          "name"?: string;
          "project_id"?: string;
        };
        Relationships: [
          {
            foreignKeyName: "tags_project_id_fkey";
            columns: ["project_id"];
            isOneToOne: false;
            referencedRelation: "projects";
            referencedColumns: ["id"];
          },
        ];
      };
      "token_holds": {
        Row: {
          "created_at": string;
          "expires_at": string;
          "id": string;
          "request_id": string | null;
          "tag_id": string | null;
          "token_amount": number;
          "user_id": string;
        };
        ComputedFields: never;
        Insert: {
          "created_at"?: string;
          "expires_at": string;
          "id"?: string;
          "request_id"?: string | null;
          "tag_id"?: string | null;
          "token_amount": number;
          "user_id": string;
        };
        Update: {
          "created_at"?: string;
          "expires_at"?: string;
          "id"?: string;
          "request_id"?: string | null;
          "tag_id"?: string | null;
          "token_amount"?: number;
          "user_id"?: string;
        };
        Relationships: [
          {
            foreignKeyName: "token_holds_tag_id_fkey";
            columns: ["tag_id"];
            isOneToOne: false;
            referencedRelation: "tags";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "token_holds_user_id_fkey";
            columns: ["user_id"];
            isOneToOne: false;
            referencedRelation: "tracked_users";
            referencedColumns: ["id"];
          },
        ];
      };
      "token_transfers": {
        Row: {
          "amount": number;
          "base_quota_used": number;
          "created_at": string;
          "grants_left": number;
          "grants_used": number;
          "metadata": Json | null;
          "nearest_limit": Json | null;
          "quota_id": string | null;
          "quota_left": number;
          "quota_period_start": string | null;
          "request_id": string | null;
          "tag_id": string | null;
          "transaction_type": Database["public"]["Enums"]["transaction_type"];
          "transfer_number": number;
          "user_id": string;
          "user_token_grants_id": string | null;
        };
        ComputedFields: never;
        Insert: {
          "amount": number;
          "base_quota_used"?: number;
          "created_at": string;
          "grants_left": number;
          "grants_used"?: number;
          "metadata"?: Json | null;
          "nearest_limit"?: Json | null;
          "quota_id"?: string | null;
          "quota_left": number;
          "quota_period_start"?: string | null;
          "request_id"?: string | null;
          "tag_id"?: string | null;
          "transaction_type": Database["public"]["Enums"]["transaction_type"];
          "transfer_number": number;
          "user_id": string;
          "user_token_grants_id"?: string | null;
        };
        Update: {
          "amount"?: number;
          "base_quota_used"?: number;
          "created_at"?: string;
          "grants_left"?: number;
          "grants_used"?: number;
          "metadata"?: Json | null;
          "nearest_limit"?: Json | null;
          "quota_id"?: string | null;
          "quota_left"?: number;
          "quota_period_start"?: string | null;
          "request_id"?: string | null;
          "tag_id"?: string | null;
          "transaction_type"?: Database["public"]["Enums"]["transaction_type"];
          "transfer_number"?: number;
          "user_id"?: string;
          "user_token_grants_id"?: string | null;
        };
        Relationships: [];
      };
      "tracked_users": {
        Row: {
          "auth_user_id": string | null;
          "billing_anchor": string;
          "created_at": string;
          "external_id": string;
          "id": string;
          "payment_status": Database["public"]["Enums"]["payment_status"];
          "plan_id": string;
          "project_id": string;
        };
        ComputedFields: never;
        Insert: {
          "auth_user_id"?: string | null;
          "billing_anchor"?: string;
          "created_at"?: string;
          "external_id": string;
          "id"?: string;
          "payment_status"?: Database["public"]["Enums"]["payment_status"];
          "plan_id": string;
          "project_id": string;
        };
        Update: {
          "auth_user_id"?: string | null;
          "billing_anchor"?: string;
          "created_at"?: string;
          "external_id"?: string;
          "id"?: string;
          "payment_status"?: Database["public"]["Enums"]["payment_status"];
          "plan_id"?: string;
          "project_id"?: string;
        };
        Relationships: [
          {
            foreignKeyName: "plan_belongs_to_project";
            columns: ["plan_id", "project_id"];
            isOneToOne: false;
            referencedRelation: "plans";
            referencedColumns: ["id", "project_id"];
          },
          {
            foreignKeyName: "tracked_users_project_id_fkey";
            columns: ["project_id"];
            isOneToOne: false;
            referencedRelation: "projects";
            referencedColumns: ["id"];
          },
        ];
      };
      "user_quota_usage": {
        Row: {
          "period_end": string;
          "period_start": string;
          "quota_id": string;
          "token_amount": number;
          "tokens_used": number;
          "user_id": string;
        };
        ComputedFields: never;
        Insert: {
          "period_end": string;
          "period_start": string;
          "quota_id": string;
          "token_amount": number;
          "tokens_used": number;
          "user_id": string;
        };
        Update: {
          "period_end"?: string;
          "period_start"?: string;
          "quota_id"?: string;
          "token_amount"?: number;
          "tokens_used"?: number;
          "user_id"?: string;
        };
        Relationships: [
          {
            foreignKeyName: "user_quota_usage_quota_id_fkey";
            columns: ["quota_id"];
            isOneToOne: false;
            referencedRelation: "plan_quotas";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "user_quota_usage_user_id_fkey";
            columns: ["user_id"];
            isOneToOne: false;
            referencedRelation: "tracked_users";
            referencedColumns: ["id"];
          },
        ];
      };
      "user_tag_usage": {
        Row: {
          "day_start": string;
          "day_used": number;
          "hour_start": string;
          "hour_used": number;
          "month_start": string;
          "month_used": number;
          "tag_id": string;
          "time_zone": string;
          "user_id": string;
          "week_start": string;
          "week_used": number;
        };
        ComputedFields: never;
        Insert: {
          "day_start": string;
          "day_used": number;
          "hour_start": string;
          "hour_used": number;
          "month_start": string;
          "month_used": number;
          "tag_id": string;
          "time_zone": string;
          "user_id": string;
          "week_start": string;
          "week_used": number;
        };
        Update: {
          "day_start"?: string;
          "day_used"?: number;
          "hour_start"?: string;
          "hour_used"?: number;
          "month_start"?: string;
          "month_used"?: number;
          "tag_id"?: string;
          "time_zone"?: string;
          "user_id"?: string;
          "week_start"?: string;
          "week_used"?: number;
        };
        Relationships: [
          {
            foreignKeyName: "user_tag_usage_tag_id_fkey";
            columns: ["tag_id"];
            isOneToOne: false;
            referencedRelation: "tags";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "user_tag_usage_user_id_fkey";
            columns: ["user_id"];
            isOneToOne: false;
            referencedRelation: "tracked_users";
            referencedColumns: ["id"];
          },
        ];
      };
      "user_token_grants": {
        Row: {
          "created_at": string;
          "expires_at": string | null;
          "grant_type": Database["public"]["Enums"]["grant_type"];
          "id": string;
          "is_spent": boolean;
          "metadata": Json | null;
          "request_id": string | null;
          "token_amount": number;
          "tokens_used": number;
          "user_id": string;
        };
        ComputedFields: never;
        Insert: {
          "created_at"?: string;
          "expires_at"?: string | null;
          "grant_type": Database["public"]["Enums"]["grant_type"];
          "id"?: string;
          "is_spent"?: boolean;
          "metadata"?: Json | null;
          "request_id"?: string | null;
          "token_amount": number;
          "tokens_used"?: number;
          "user_id": string;
        };
        Update: {
          "created_at"?: string;
          "expires_at"?: string | null;
          "grant_type"?: Database["public"]["Enums"]["grant_type"];
          "id"?: string;
          "is_spent"?: boolean;
          "metadata"?: Json | null;
          "request_id"?: string | null;
          "token_amount"?: number;
          "tokens_used"?: number;
          "user_id"?: string;
        };
        Relationships: [
          {
            foreignKeyName: "user_token_grants_user_id_fkey";
            columns: ["user_id"];
            isOneToOne: false;
            referencedRelation: "tracked_users";
            referencedColumns: ["id"];
          },
        ];
      };
      "user_token_grants_consume": {
        Row: {
          "created_at": string;
          "token_deduction": number;
          "transfer_number": number;
          "user_id": string;
          "user_token_grants_id": string;
        };
        ComputedFields: never;
        Insert: {
          "created_at": string;
          "token_deduction": number;
          "transfer_number": number;
          "user_id": string;
          "user_token_grants_id": string;
        };
        Update: {
          "created_at"?: string;
          "token_deduction"?: number;
          "transfer_number"?: number;
          "user_id"?: string;
          "user_token_grants_id"?: string;
        };
        Relationships: [];
      };
      "user_usage": {
        Row: {
          "day_end": string;
          "day_start": string;
          "day_used": number;
          "hour_end": string;
          "hour_start": string;
          "hour_used": number;
          "last_transfer_at": string;
          "last_transfer_number": number;
          "month_end": string;
          "month_start": string;
          "month_used": number;
          "time_zone": string;
          "user_id": string;
          "week_end": string;
          "week_start": string;
          "week_used": number;
        };
        ComputedFields: never;
        Insert: {
          "day_end"?: string;
          "day_start"?: string;
          "day_used"?: number;
          "hour_end"?: string;
          "hour_start"?: string;
          "hour_used"?: number;
          "last_transfer_at"?: string;
          "last_transfer_number"?: number;
          "month_end"?: string;
          "month_start"?: string;
          "month_used"?: number;
          "time_zone"?: string;
          "user_id": string;
          "week_end"?: string;
          "week_start"?: string;
          "week_used"?: number;
        };
        Update: {
          "day_end"?: string;
          "day_start"?: string;
          "day_used"?: number;
          "hour_end"?: string;
          "hour_start"?: string;
          "hour_used"?: number;
          "last_transfer_at"?: string;
          "last_transfer_number"?: number;
          "month_end"?: string;
          "month_start"?: string;
          "month_used"?: number;
          "time_zone"?: string;
          "user_id"?: string;
          "week_end"?: string;
          "week_start"?: string;
          "week_used"?: number;
        };
        Relationships: [
          {
            foreignKeyName: "user_usage_user_id_fkey";
            columns: ["user_id"];
            isOneToOne: true;
            referencedRelation: "tracked_users";
            referencedColumns: ["id"];
          },
        ];
      };
    };
    Views: {
      "current_balances": {
        Row: {
          "as_of": string | null;
          "grants_left": number | null;
          "payment_status": Database["public"]["Enums"]["payment_status"] | null;
          "plan": string | null;
          "plan_type": Database["public"]["Enums"]["plan_type"] | null;
          "project_id": string;
          "quota_amount": number | null;
          "quota_left": number | null;
          "quota_resets_at": string | null;
          "quota_used": number | null;
          "restrictions": Json | null;
          "tokens_left": number | null;
          "user_id": string | null;
        };
        ComputedFields: never;
        Relationships: [
          {
            foreignKeyName: "tracked_users_project_id_fkey";
            columns: ["project_id"];
            isOneToOne: false;
            referencedRelation: "projects";
            referencedColumns: ["id"];
          },
        ];
      };
      "recent_transfers": {
        Row: {
          "amount": number;
          "base_quota_used": number;
          "created_at": string;
          "grants_left": number;
          "grants_used": number;
          "metadata": Json | null;
          "project_id": string;
          "quota_left": number;
          "request_id": string | null;
          "tag": string | null;
          "transaction_type": Database["public"]["Enums"]["transaction_type"];
          "transfer_number": number;
          "user_id": string;
        };
        ComputedFields: never;
        Relationships: [
          {
            foreignKeyName: "tracked_users_project_id_fkey";
            columns: ["project_id"];
            isOneToOne: false;
            referencedRelation: "projects";
            referencedColumns: ["id"];
          },
        ];
      };
      "restriction_status": {
        Row: {
          "duration": string | null;
          "left": number | null;
          "max_tokens": number | null;
          "plan": string | null;
          "project_id": string;
          "resets_at": string | null;
          "tag": string | null;
          "used": number | null;
          "user_id": string | null;
        };
        ComputedFields: never;
        Relationships: [
          {
            foreignKeyName: "tracked_users_project_id_fkey";
            columns: ["project_id"];
            isOneToOne: false;
            referencedRelation: "projects";
            referencedColumns: ["id"];
          },
        ];
      };
      "usage_by_day_and_tag": {
        Row: {
          "calls": number | null;
          "day": string | null;
          "project_id": string;
          "tag": string | null;
          "tokens": number | null;
          "users": number | null;
        };
        ComputedFields: never;
        Relationships: [
          {
            foreignKeyName: "tracked_users_project_id_fkey";
            columns: ["project_id"];
            isOneToOne: false;
            referencedRelation: "projects";
            referencedColumns: ["id"];
          },
        ];
      };
    };
    Functions: {
      "balance_with_api_key": {
        Args: { "p_external_user_id": string; "p_key_hash": string };
        Returns: {
          "as_of": string;
          "grants_left": number;
          "payment_status": Database["public"]["Enums"]["payment_status"];
          "plan": string;
          "plan_type": Database["public"]["Enums"]["plan_type"];
          "quota_amount": number;
          "quota_left": number;
          "quota_resets_at": string;
          "quota_used": number;
          "restrictions": Json;
          "tokens_left": number;
          "user_id": string;
        }[];
      };
      "consume_tokens_v2": {
        Args: {
          "p_external_user_id": string;
          "p_metadata"?: Json;
          "p_project_id": string;
          "p_tag_id"?: string;
          "p_tokens_consumed": number;
        };
        Returns: {
          "base_quota_used": number;
          "grants_used": number;
          "message": string;
          "success": boolean;
          "tokens_consumed": number;
        }[];
      };
      "consume_with_api_key": {
        Args: {
          "p_external_user_id": string;
          "p_key_hash": string;
          "p_metadata"?: Json;
          "p_request_id"?: string;
          "p_tag"?: string;
          "p_tokens": number;
        };
        Returns: {
          "base_quota_used": number;
          "created_at": string;
          "grants_left": number;
          "grants_used": number;
          "message": string;
          "nearest_limit": Json;
          "quota_left": number;
          "reason": string;
          "replayed": boolean;
          "request_id": string;
          "retry_at": string;
          "sources": Json;
          "success": boolean;
          "tokens_consumed": number;
          "transfer_number": number;
          "user_id": string;
        }[];
      };
      "create_api_key": {
        Args: {
          "p_expires_at"?: string;
          "p_name": string;
          "p_project_id": string;
          "p_scopes"?: (Database["public"]["Enums"]["api_key_scope"])[];
        };
        Returns: {
          "api_key": string;
          "expires_at": string;
          "id": string;
          "name": string;
          "scopes": (Database["public"]["Enums"]["api_key_scope"])[];
        }[];
      };
      "create_project": {
        Args: { "p_name": string; "p_time_zone"?: string };
        Returns: {
          "allow_client_consumption": boolean;
          "created_at": string;
          "default_plan_id": string | null;
          "id": string;
          "name": string;
          "time_zone": string;
        };
        SetofOptions: {
          from: "*";
          to: "projects";
          isOneToOne: true;
          isSetofReturn: false;
        };
      };
      "get_user_balance": {
        Args: { "p_external_user_id": string; "p_project_id": string };
        Returns: {
          "as_of": string;
          "grants_left": number;
          "payment_status": Database["public"]["Enums"]["payment_status"];
          "plan": string;
          "plan_type": Database["public"]["Enums"]["plan_type"];
          "quota_amount": number;
          "quota_left": number;
          "quota_resets_at": string;
          "quota_used": number;
          "restrictions": Json;
          "tokens_left": number;
          "user_id": string;
        }[];
      };
      "get_user_transfers": {
        Args: {
          "p_before"?: number;
          "p_external_user_id": string;
          "p_limit"?: number;
          "p_project_id": string;
        };
        Returns: {
          "amount": number;
          "base_quota_used": number;
          "created_at": string;
          "grant_id": string;
          "grants_left": number;
          "grants_used": number;
          "metadata": Json;
          "quota_left": number;
          "request_id": string;
          "tag": string;
          "transaction_type": Database["public"]["Enums"]["transaction_type"];
          "transfer_number": number;
        }[];
      };
      "grant_tokens": {
        Args: {
          "p_expires_at"?: string;
          "p_external_user_id": string;
          "p_grant_type": Database["public"]["Enums"]["grant_type"];
          "p_metadata"?: Json;
          "p_project_id": string;
          "p_request_id"?: string;
          "p_tokens": number;
        };
        Returns: {
          "created_at": string;
          "expires_at": string;
          "grant_id": string;
          "grant_type": Database["public"]["Enums"]["grant_type"];
          "grants_left": number;
          "metadata": Json;
          "replayed": boolean;
          "request_id": string;
          "tokens": number;
          "transfer_number": number;
          "user_id": string;
        }[];
      };
      "grant_with_api_key": {
        Args: {
          "p_expires_at"?: string;
          "p_external_user_id": string;
          "p_grant_type": Database["public"]["Enums"]["grant_type"];
          "p_key_hash": string;
          "p_metadata"?: Json;
          "p_request_id"?: string;
          "p_tokens": number;
        };
        Returns: {
          "created_at": string;
          "expires_at": string;
          "grant_id": string;
          "grant_type": Database["public"]["Enums"]["grant_type"];
          "grants_left": number;
          "metadata": Json;
          "replayed": boolean;
          "request_id": string;
          "tokens": number;
          "transfer_number": number;
          "user_id": string;
        }[];
      };
      "link_user": {
        Args: { "p_auth_user_id"?: string; "p_external_user_id": string; "p_project_id": string };
        Returns: {
          "auth_user_id": string;
          "user_id": string;
        }[];
      };
      "link_user_with_api_key": {
        Args: { "p_auth_user_id"?: string; "p_external_user_id": string; "p_key_hash": string };
        Returns: {
          "auth_user_id": string;
          "user_id": string;
        }[];
      };
      "revoke_api_key": { Args: { "p_key_id": string }; Returns: string };
      "rotate_api_key": {
        Args: { "p_grace"?: string; "p_key_id": string };
        Returns: {
          "api_key": string;
          "expires_at": string;
          "id": string;
          "name": string;
          "scopes": (Database["public"]["Enums"]["api_key_scope"])[];
        }[];
      };
      "transfers_with_api_key": {
        Args: {
          "p_before"?: number;
          "p_external_user_id": string;
          "p_key_hash": string;
          "p_limit"?: number;
        };
        Returns: {
          "amount": number;
          "base_quota_used": number;
          "created_at": string;
          "grant_id": string;
          "grants_left": number;
          "grants_used": number;
          "metadata": Json;
          "quota_left": number;
          "request_id": string;
          "tag": string;
          "transaction_type": Database["public"]["Enums"]["transaction_type"];
          "transfer_number": number;
        }[];
      };
      "verify_ledger": {
        Args: Record<PropertyKey, never>;
        Returns: {
          "disagreement": string;
          "expected": string;
          "found": string;
          "row_key": string;
          "user_id": string;
        }[];
      };
    };
    Enums: {
      "api_key_scope": "consume" | "read" | "grant" | "link";
      "grant_type": "trial" | "bonus" | "purchase" | "refund" | "adjustment";
      "payment_status": "active" | "past_due" | "canceled";
      "plan_type": "subscription" | "pay_as_you_go";
      "project_role": "viewer" | "admin" | "owner";
      "quota_period": "1 day" | "1 week" | "1 month" | "1 year";
      "restriction_duration": "1 hour" | "1 day" | "1 week" | "1 month";
      "restriction_type": "tag" | "total";
      "transaction_type": "grant" | "consumption";
    };
    CompositeTypes: {
      [_ in never]: never;
    };
  };
};

type DatabaseWithoutInternals = Omit<Database, "__InternalSupabase">;

type DefaultSchema = DatabaseWithoutInternals[Extract<keyof Database, "public">];

export type Tables<
  DefaultSchemaTableNameOrOptions extends
    | keyof (DefaultSchema["Tables"] & DefaultSchema["Views"])
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals;
  } ? keyof (
      & DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"]
      & DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Views"]
    )
    : never = never,
> = DefaultSchemaTableNameOrOptions extends { schema: keyof DatabaseWithoutInternals } ? (
    & DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"]
    & DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Views"]
  )[TableName] extends {
    Row: infer R;
  } ? R
  : never
  : DefaultSchemaTableNameOrOptions extends keyof (DefaultSchema["Tables"] & DefaultSchema["Views"])
    ? (DefaultSchema["Tables"] & DefaultSchema["Views"])[DefaultSchemaTableNameOrOptions] extends {
      Row: infer R;
    } ? R
    : never
  : never;

export type TablesInsert<
  DefaultSchemaTableNameOrOptions extends
    | keyof DefaultSchema["Tables"]
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals;
  } ? keyof DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"]
    : never = never,
> = DefaultSchemaTableNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"][TableName] extends
    {
      Insert: infer I;
    } ? I
  : never
  : DefaultSchemaTableNameOrOptions extends keyof DefaultSchema["Tables"]
    ? DefaultSchema["Tables"][DefaultSchemaTableNameOrOptions] extends {
      Insert: infer I;
    } ? I
    : never
  : never;

export type TablesUpdate<
  DefaultSchemaTableNameOrOptions extends
    | keyof DefaultSchema["Tables"]
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals;
  } ? keyof DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"]
    : never = never,
> = DefaultSchemaTableNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"][TableName] extends
    {
      Update: infer U;
    } ? U
  : never
  : DefaultSchemaTableNameOrOptions extends keyof DefaultSchema["Tables"]
    ? DefaultSchema["Tables"][DefaultSchemaTableNameOrOptions] extends {
      Update: infer U;
    } ? U
    : never
  : never;

export type Enums<
  DefaultSchemaEnumNameOrOptions extends
    | keyof DefaultSchema["Enums"]
    | { schema: keyof DatabaseWithoutInternals },
  EnumName extends DefaultSchemaEnumNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals;
  } ? keyof DatabaseWithoutInternals[DefaultSchemaEnumNameOrOptions["schema"]]["Enums"]
    : never = never,
> = DefaultSchemaEnumNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[DefaultSchemaEnumNameOrOptions["schema"]]["Enums"][EnumName]
  : DefaultSchemaEnumNameOrOptions extends keyof DefaultSchema["Enums"]
    ? DefaultSchema["Enums"][DefaultSchemaEnumNameOrOptions]
  : never;

export type CompositeTypes<
  PublicCompositeTypeNameOrOptions extends
    | keyof DefaultSchema["CompositeTypes"]
    | { schema: keyof DatabaseWithoutInternals },
  CompositeTypeName extends PublicCompositeTypeNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals;
  } ? keyof DatabaseWithoutInternals[PublicCompositeTypeNameOrOptions["schema"]]["CompositeTypes"]
    : never = never,
> = PublicCompositeTypeNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[PublicCompositeTypeNameOrOptions["schema"]]["CompositeTypes"][
    CompositeTypeName
  ]
  : PublicCompositeTypeNameOrOptions extends keyof DefaultSchema["CompositeTypes"]
    ? DefaultSchema["CompositeTypes"][PublicCompositeTypeNameOrOptions]
  : never;

export const Constants = {
  "public": {
    Enums: {
      "api_key_scope": ["consume", "read", "grant", "link"],
      "grant_type": ["trial", "bonus", "purchase", "refund", "adjustment"],
      "payment_status": ["active", "past_due", "canceled"],
      "plan_type": ["subscription", "pay_as_you_go"],
      "project_role": ["viewer", "admin", "owner"],
      "quota_period": ["1 day", "1 week", "1 month", "1 year"],
      "restriction_duration": ["1 hour", "1 day", "1 week", "1 month"],
      "restriction_type": ["tag", "total"],
      "transaction_type": ["grant", "consumption"],
    },
  },
} as const;
